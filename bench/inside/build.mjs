// Builds what the rows "inside the engine" run: build/bench/loops.wasm and build/bench/twin.js.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { root, upToDate, writeWhole } from "../../scripts/files.mjs";
import { writeOneText } from "../../scripts/one-text.mjs";

const OUT = "build/bench";
const INPUTS = [
  "bench/inside",
  "assembly",
  "src/engine/both",
  "src/engine/ts",
  "src/engine/layout.ts",
  "src/engine/memory.ts",
  "scripts/one-text.mjs",
  "asconfig.json",
];

/** Compiles the loops with the options of the engine itself. */
async function buildLoops() {
  writeOneText();
  const { options } = JSON.parse(readFileSync(join(root, "asconfig.json"), "utf8"));
  const outputs = {
    baseDir: root,
    config: "none",
    outFile: `${OUT}/loops.wasm`,
    textFile: `${OUT}/loops.wat`,
    use: ["PALLOC_DEBUG=0"],
  };
  const { error, stderr } = await asc.main(
    ["bench/inside/assembly/loops.ts", ...asc.configToArguments({ ...options, ...outputs })],
    { writeFile: (path, content) => writeWhole(join(root, path), content) },
  );
  if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`);
}

/** Builds what is out of date. */
export async function buildInside() {
  if (upToDate(`${OUT}/loops.wasm`, INPUTS) && upToDate(`${OUT}/twin.js`, INPUTS)) return;
  await build({
    absWorkingDir: root,
    entryPoints: ["bench/inside/twin.ts"],
    bundle: true,
    format: "esm",
    target: "es2022",
    outfile: `${OUT}/twin.js`,
    define: { PALLOC_DEBUG: "false", PALLOC_SHARED: "false" },
  });
  await buildLoops();
}
