// Checks the size budget on dist/: what a user's bundler would ship of each entry, minified and gzipped.
//
//   node scripts/size.mjs
import { statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "./files.mjs";

const KIB = 1024;

/** Bytes of all that an entry exports, bundled, minified and gzipped. */
async function shipped(entry) {
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

const rows = [
  ["palloc.wasm", statSync(join(root, "dist/palloc.wasm")).size, 16 * KIB],
  ["palloc", await shipped("dist/index.js"), 16 * KIB],
  ["palloc/ts", await shipped("dist/ts.js"), 12 * KIB],
  ["palloc/shared", await shipped("dist/shared.js"), 22 * KIB],
  ["palloc/ts/shared", await shipped("dist/ts-shared.js"), 20 * KIB],
];
for (const [what, bytes, budget] of rows) {
  const verdict = bytes <= budget ? "ok" : "TOO LARGE";
  console.log(
    `${bytes.toLocaleString("en").padStart(7)} of ${budget.toLocaleString("en")} bytes  ${verdict}  ${what}`,
  );
  if (bytes > budget) process.exitCode = 1;
}
