// Checks the size of each entry in dist/, as a user's bundler would ship it: minified and gzipped.
//
//   node scripts/size.mjs
import { statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "./files.mjs";

const KIB = 1024;

/** Returns the bytes of an entry with all its exports: bundled, minified and gzipped. */
async function shipped(entry) {
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    // A chunk of its own, which is loaded only if a trace is packed by zstd.
    external: ["./zstd.js"],
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

/** What is checked: its name, its bytes, the most that it may have, and the budget that it must come down to. */
const rows = [
  ["palloc.wasm", statSync(join(root, "dist/palloc.wasm")).size, 24_900, 16 * KIB],
  ["palloc", await shipped("dist/index.js"), 31_300, 16 * KIB],
  ["palloc/ts", await shipped("dist/ts.js"), 27_750, 12 * KIB],
  ["palloc/shared", await shipped("dist/shared.js"), 33_800, 22 * KIB],
  ["palloc/ts/shared", await shipped("dist/ts-shared.js"), 30_400, 20 * KIB],
  ["palloc/trace", await shipped("dist/trace.js"), 50 * KIB, 50 * KIB],
  ["palloc/lab", await shipped("dist/lab.js"), 32 * KIB, 32 * KIB],
];
const number = (n) => n.toLocaleString("en").padStart(6);
for (const [what, bytes, most, budget] of rows) {
  const verdict = bytes <= budget ? "within" : bytes <= most ? "beyond" : "TOO LARGE for";
  console.log(
    `${number(bytes)} bytes, at most ${number(most)}: ${verdict} the budget of ${number(budget)}, ${what}`,
  );
  if (bytes > most) process.exitCode = 1;
}
