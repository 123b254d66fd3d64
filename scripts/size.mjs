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

// The wish is 16 KiB for palloc and 12 KiB for palloc/ts; these are what they may not grow beyond until they are there.
const rows = [
  ["palloc.wasm", statSync(join(root, "dist/palloc.wasm")).size, 16 * KIB],
  ["palloc, minified and gzipped, with the module inlined", await shipped("dist/index.js"), 24 * KIB],
  ["palloc/ts, minified and gzipped", await shipped("dist/ts.js"), 22.5 * KIB],
];
for (const [what, bytes, budget] of rows) {
  const verdict = bytes <= budget ? "ok" : "TOO LARGE";
  console.log(
    `${bytes.toLocaleString("en").padStart(7)} of ${budget.toLocaleString("en")} bytes  ${verdict}  ${what}`,
  );
  if (bytes > budget) process.exitCode = 1;
}
