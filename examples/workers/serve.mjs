// Serves the example's page; with --headless, runs it in Chromium and prints what it shows.
//
//   node examples/workers/serve.mjs [--headless]
import { parseArgs } from "node:util";
import { runPage, servePages } from "../../scripts/pages.mjs";

const { values: options } = parseArgs({ options: { headless: { type: "boolean", default: false } } });

const server = await servePages();
const url = server.url("examples/workers/index.html");
if (options.headless) {
  try {
    const { table, lines } = await runPage(url, 60_000);
    console.table(table);
    for (const line of lines) console.log(line);
  } finally {
    await server.close();
  }
} else {
  console.log(url.href);
}
