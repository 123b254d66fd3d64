// The entry of the command `palloc`: hands the process over to it. Lies beside the library and the carried trace in
// dist/, one folder below package.json.

import { createReadStream, createWriteStream, fstatSync, readFileSync } from "node:fs";
import { runCommand } from "./command.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const STDIN = 0;
const STDOUT = 1;

process.exitCode = await runCommand(process.argv.slice(2), {
  // Made only when it is read. Of a folder Node's own stream would say that it is empty.
  get stdin() {
    return fstatSync(STDIN).isDirectory() ? createReadStream("", { fd: STDIN }) : process.stdin;
  },
  // Of a write that a full disk takes only in part, Node's own stream to a file would say nothing.
  stdout: fstatSync(STDOUT).isFile()
    ? createWriteStream("", { fd: STDOUT, autoClose: false })
    : process.stdout,
  stderr: process.stderr,
  version,
  carriedTrace: new URL("go-compile-runtime.pt.gz", import.meta.url),
});
