// Fills a file with records, removes most of them, gives back what is free, and opens the file in a second process.
//
//   node examples/page-file/main.mjs
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkRecords, recordOf, tell } from "./check.mjs";
import { RecordFile } from "./record-file.mjs";

const RECORDS = 400;

const folder = mkdtempSync(join(tmpdir(), "palloc-page-file-"));
try {
  const path = join(folder, "records");
  const file = new RecordFile(path);
  const ids = Array.from({ length: RECORDS }, (_, i) => file.add(recordOf(i)));
  tell("400 records", file);

  // The last quarter goes, and each second of the others.
  for (const [i, id] of ids.entries()) if (i % 2 || i >= 0.75 * RECORDS) file.remove(id);
  tell("250 removed", file);
  file.release();
  tell("released", file);
  checkRecords(file, 150);
  file.close();

  const second = fileURLToPath(new URL("second.mjs", import.meta.url));
  const { status } = spawnSync(process.execPath, [second, path], { stdio: "inherit" });
  if (status !== 0) throw new Error("the second process has failed");
} finally {
  rmSync(folder, { recursive: true });
}
