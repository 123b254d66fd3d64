// Compiles assembly/ to WebAssembly, and writes the bytes as JavaScript modules, which Node, vite and esbuild all
// import the same way. Does nothing when the output is up to date.
//
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

const INPUTS = [
  "assembly",
  "src/engine/layout.ts",
  "asconfig.json",
  "scripts/build-wasm.mjs",
  "scripts/files.mjs",
];
/** What others import. One that is missing or old is made again. */
const OUTPUTS = ["palloc.wasm", "palloc.own.wasm", "palloc.shared.wasm"].concat(
  ["palloc.wasm", "palloc.pair", "palloc.debug"].flatMap((name) => [`${name}.js`, `${name}.d.ts`]),
);
/** asconfig.json's. */
const TARGETS = ["plain", "own", "shared", "debug-own", "debug-shared"];

/** Runs the compiler on every target. Returns its output files by full path, or throws with its report. */
async function compile() {
  // Imported only here: loading the compiler takes longer than all else when there is nothing to build.
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
 * Bytes as a string of ASCII. Minifiers turn escapes back into characters, which a page without a charset reads
 * wrongly. Each byte is a character, as gzip finds the repetitions in bytes that keep their borders, which base64
 * hides: 2,000 bytes less to ship. Exclusive-or with 52 makes most codes small; each ~ adds 126 to the next one.
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

/** Splits two modules into what they begin with, what they have of their own, and what they end with. */
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
  const outputs = await compile();
  for (const [path, content] of outputs) writeWhole(path, content);
  const bytes = (name) => outputs.get(join(root, "build", name));
  writeModule("palloc.wasm.js", { plain: bytes("palloc.wasm") });
  writeModule("palloc.pair.js", splitPair(bytes("palloc.own.wasm"), bytes("palloc.shared.wasm")));
  writeModule(
    "palloc.debug.js",
    splitPair(bytes("palloc.debug.own.wasm"), bytes("palloc.debug.shared.wasm")),
  );
  // An input that was saved while the compiler ran is newer than this, and will be compiled next time.
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
