// Serves the benchmark's page; with --headless, runs it in Chromium and prints the scoreboard.
//
//   npm run bench:browser -- [--headless [--quick] [--only PATTERN]]
import { parseArgs } from "node:util";
import { runPage, servePages } from "../../scripts/pages.mjs";
import { buildInside } from "../inside/build.mjs";
import { printTables } from "../report/terminal.mjs";

const { values: options } = parseArgs({
  options: {
    headless: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

await buildInside();
const server = await servePages(["tinybench", "@thi.ng/malloc"]);
const url = server.url("bench/browser/index.html");
if (options.headless) {
  if (options.quick) url.searchParams.set("quick", "");
  url.searchParams.set("only", options.only);
  try {
    const { header, columns, rows } = await runPage(url, 3_600_000);
    console.log(header.browser);
    printTables(rows, columns);
  } finally {
    await server.close();
  }
} else {
  console.log(url.href);
}
