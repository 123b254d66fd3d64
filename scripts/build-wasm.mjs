// Compiles assembly/ to WebAssembly. Writes the bytes as JavaScript modules too, which Node, Vite and esbuild import in
// the same way. Does nothing if the output is up to date.
//
//   build/both/               src/engine/both/, as AssemblyScript
//   build/palloc.wasm         for plain heaps
//   build/palloc.own.wasm     for plain heaps beside shared ones
//   build/palloc.shared.wasm  for shared heaps: the same on shared memory
//   build/palloc.wasm.js      the first, as one string
//   build/palloc.pair.js      the other two: each is `start`, then `own` or `shared`, then `end`
//   build/palloc.debug.js     the same with assertions
//
//   node scripts/build-wasm.mjs
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { root, upToDate, writeWhole } from "./files.mjs";
import { ONE_TEXT, writeOneText } from "./one-text.mjs";

const INPUTS = [
  "assembly",
  "src/engine/both",
  "src/engine/layout.ts",
  "asconfig.json",
  "scripts/build-wasm.mjs",
  "scripts/files.mjs",
  "scripts/one-text.mjs",
];
/** The files that others import. If one is missing or out of date, all are built. */
const OUTPUTS = [
  "palloc.wasm",
  "palloc.own.wasm",
  "palloc.shared.wasm",
  "palloc.wat",
  "palloc.own.wat",
].concat(
  ONE_TEXT,
  ["palloc.wasm", "palloc.pair", "palloc.debug"].flatMap((name) => [`${name}.js`, `${name}.d.ts`]),
);
/** The targets of asconfig.json. */
const TARGETS = ["plain", "own", "shared", "debug-own", "debug-shared"];

/** Runs the compiler on every target. Returns the output files by full path. Throws the compiler's report. */
async function compile() {
  // Imported only here: loading the compiler takes longer than everything else if there is nothing to build.
  const { default: asc } = await import("assemblyscript/asc");
  const outputs = new Map();
  for (const target of TARGETS) {
    const { error, stderr } = await asc.main(["--target", target, "--baseDir", root], {
      writeFile: (path, content) => void outputs.set(path, content),
    });
    if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`);
    process.stderr.write(stderr.toString());
  }
  return outputs;
}

/**
 * Returns bytes as a string of ASCII. Other characters would need escapes. Minifiers turn escapes back into characters,
 * which a page without a charset misreads. Each byte is one character. In base64, gzip would not find the repeated
 * bytes, and 2,000 more would be shipped. Exclusive-or with 52 makes most codes small. A ~ adds 126 to the next code.
 */
function textOf(bytes) {
  const codes = Array.from(bytes, (byte) => byte ^ 52);
  return codes.map((code) => "~".repeat(code / 126) + String.fromCharCode(code % 126)).join("");
}

/** Writes a module that exports bytes as strings. */
function writeModule(name, parts) {
  const file = join(root, "build", name);
  const names = Object.keys(parts);
  const lines = names.map((part) => `export const ${part} = ${JSON.stringify(textOf(parts[part]))};\n`);
  const types = names.map((part) => `export declare const ${part}: string;\n`);
  writeWhole(file, lines.join(""));
  const header = "// Bytes of a module as text; scripts/build-wasm.mjs says how.\n";
  writeWhole(file.replace(/js$/, "d.ts"), header + types.join(""));
}

/** Splits two modules into the start that they share, the part in which they differ, and the end that they share. */
function splitPair(own, shared) {
  const least = Math.min(own.length, shared.length);
  let before = 0;
  while (before < least && own[before] === shared[before]) before++;
  let after = 0;
  while (after < least - before && own.at(-1 - after) === shared.at(-1 - after)) after++;
  return {
    start: own.slice(0, before),
    own: own.slice(before, own.length - after),
    shared: shared.slice(before, shared.length - after),
    end: own.slice(own.length - after),
  };
}

/** Builds what is out of date. Throws when the compiler finds an error. */
export async function buildWasm() {
  const paths = OUTPUTS.map((output) => `build/${output}`);
  if (paths.every((path) => upToDate(path, INPUTS))) return;
  const started = new Date();
  writeOneText();
  const outputs = await compile();
  for (const [path, content] of outputs) writeWhole(path, content);
  const bytes = (name) => outputs.get(join(root, "build", name));
  writeModule("palloc.wasm.js", { plain: bytes("palloc.wasm") });
  writeModule("palloc.pair.js", splitPair(bytes("palloc.own.wasm"), bytes("palloc.shared.wasm")));
  writeModule(
    "palloc.debug.js",
    splitPair(bytes("palloc.debug.own.wasm"), bytes("palloc.debug.shared.wasm")),
  );
  // An input that was saved while the compiler ran is newer than this time, so the next build compiles it.
  for (const path of paths) utimesSync(join(root, path), started, started);
}

if (process.argv[1] === import.meta.filename) {
  try {
    await buildWasm();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
