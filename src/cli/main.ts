// The entry of the command `palloc`: connects it to the process. The build puts it in dist/, beside the library and the
// bundled trace and one folder below package.json.

import { createReadStream, createWriteStream, fstatSync, readFileSync } from "node:fs";
import { runCommand } from "./command.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const STDIN = 0;
const STDOUT = 1;

process.exitCode = await runCommand(process.argv.slice(2), {
  // A getter, so that stdin is opened only if it is read. Node's own stream shows a folder as empty.
  get stdin() {
    return fstatSync(STDIN).isDirectory() ? createReadStream("", { fd: STDIN }) : process.stdin;
  },
  // Node's own stream to a file reports no error when a full disk takes only part of a write.
  stdout: fstatSync(STDOUT).isFile()
    ? createWriteStream("", { fd: STDOUT, autoClose: false })
    : process.stdout,
  stderr: process.stderr,
  version,
  readWorker: new URL("read-worker.js", import.meta.url),
  sweepWorker: new URL("sweep-worker.js", import.meta.url),
  env: process.env,
  benchFolder: new URL(".", import.meta.url),
  benchWorker: new URL("bench-worker.js", import.meta.url),
  benchProgram: new URL("bench/main.c", import.meta.url),
  bundledTrace: new URL("go-compile-runtime.pt.gz", import.meta.url),
});
