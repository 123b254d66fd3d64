// The second process: finds the records that the first one has left, and goes on with the same file.
import { checkRecords, recordOf, tell } from "./check.mjs";
import { RecordFile } from "./record-file.mjs";

const [path] = process.argv.slice(2);

const file = new RecordFile(path);
checkRecords(file, 150);
tell("opened again", file);

// They fill the holes first.
for (let i = 400; i < 500; i++) file.add(recordOf(i));
tell("100 added", file);
checkRecords(file, 250);

for (const { id } of [...file.records()].slice(1)) file.remove(id);
file.release();
tell("249 removed, released", file);
checkRecords(file, 1);
file.close();
console.log("Every record has been as it was written, each time.");
