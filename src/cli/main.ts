// The entry of the command `palloc`: hands the process over to it. Lies beside the library and the carried trace in
// dist/, one folder below package.json.

import { readFileSync } from "node:fs";
import { runCommand } from "./command.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

// Who reads the output may stop early, as `head` does. That is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

process.exitCode = await runCommand(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  version,
  carriedTrace: new URL("go-compile-runtime.pt.gz", import.meta.url),
});
