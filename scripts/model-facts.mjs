// Writes test/fixtures/golden/model.ndjson.gz: calls that Go's allocator does not have, on seeded random heaps, with
// the results of the naive model of the tests.
//
//   node scripts/model-facts.mjs
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root, writeWhole } from "./files.mjs";

const folder = mkdtempSync(join(tmpdir(), "palloc-facts-"));
try {
  const outfile = join(folder, "facts.mjs");
  const entryPoints = [join(root, "test/support/model-facts.ts")];
  await build({ entryPoints, outfile, bundle: true, format: "esm", logLevel: "warning" });
  const { modelFacts } = await import(pathToFileURL(outfile).href);
  const lines = modelFacts().map((facts) => `${JSON.stringify(facts)}\n`);
  writeWhole(join(root, "test/fixtures/golden/model.ndjson.gz"), gzipSync(lines.join(""), { level: 9 }));
  console.log(`Wrote the facts of ${lines.length} heaps.`);
} finally {
  rmSync(folder, { recursive: true });
}
