// Compiles assembly/ to build/palloc.wasm, to build/palloc.shared.wasm for shared memory, and with assertions to
// build/palloc.debug.wasm. Writes the bytes of the first and the last as JavaScript modules with one string each,
// build/palloc.wasm.js and build/palloc.debug.wasm.js, which Node, vite and esbuild all import the same way. Does
// nothing when the output is up to date.
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
/** What others import. Each must be as new as the inputs: one that is missing is made again. */
const OUTPUTS = ["palloc.wasm", "palloc.shared.wasm", "palloc.wasm.js", "palloc.debug.wasm.js"].map(
  (name) => `build/${name}`,
);

const DECLARATION = `/** The bytes of the module, each a character whose code is the byte exclusive-or 52. */
declare const text: string;
export default text;
`;

/** Runs the compiler on asconfig.json's targets. Returns its output files by full path, or throws with its report. */
async function compile() {
  // Imported only here: loading the compiler takes longer than all else when there is nothing to build.
  const { default: asc } = await import("assemblyscript/asc");
  const outputs = new Map();
  for (const target of ["release", "shared", "debug"]) {
    const { error, stderr } = await asc.main(["--target", target, "--baseDir", root], {
      writeFile: (path, content) => void outputs.set(path, content),
    });
    if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`);
    process.stderr.write(stderr.toString());
  }
  return outputs;
}

/** Builds what is out of date. Throws when the compiler finds an error. */
export async function buildWasm() {
  if (OUTPUTS.every((output) => upToDate(output, INPUTS))) return;
  const started = new Date();
  const outputs = await compile();
  for (const [path, content] of outputs) writeWhole(path, content);
  // Gzip finds the repetitions in bytes that keep their borders, which base64 hides: 1,900 bytes less to ship. Of all
  // 256 numbers, an exclusive-or with 52 leaves the fewest bytes that JavaScript must escape or UTF-8 makes two of.
  for (const name of ["palloc.wasm", "palloc.debug.wasm"]) {
    const bytes = outputs.get(join(root, "build", name));
    const text = JSON.stringify(Buffer.from(bytes.map((byte) => byte ^ 52)).toString("latin1"));
    writeWhole(join(root, `build/${name}.d.ts`), DECLARATION);
    writeWhole(join(root, `build/${name}.js`), `export default ${text};\n`);
  }
  // An input that was saved while the compiler ran is newer than this, and will be compiled next time.
  for (const output of OUTPUTS) utimesSync(join(root, output), started, started);
}

if (process.argv[1] === import.meta.filename) {
  try {
    await buildWasm();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
