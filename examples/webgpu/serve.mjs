// Serves the example's page; with --headless, runs it in Chromium and prints what it shows.
//
//   node examples/webgpu/serve.mjs [--headless]
import { parseArgs } from "node:util";
import { servePages } from "../../scripts/pages.mjs";
import { PAGE, runHeadless } from "./headless.mjs";

const { values: options } = parseArgs({ options: { headless: { type: "boolean", default: false } } });

if (options.headless) {
  for (const line of await runHeadless()) console.log(line);
} else {
  const server = await servePages();
  console.log(server.url(PAGE).href);
}
