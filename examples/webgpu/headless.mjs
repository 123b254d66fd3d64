// Runs the example's page in headless Chromium, on a GPU in software.
import { runPage, servePages } from "../../scripts/pages.mjs";

const WEBGPU_FLAGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const TIMEOUT_MS = 60_000;

export const PAGE = "examples/webgpu/index.html";

/**
 * Returns the lines that the page shows. Throws what went wrong in it. `flags` are Chromium's, and `prepare` runs in
 * the page before its own scripts.
 */
export async function runHeadless({ flags = WEBGPU_FLAGS, prepare = () => {} } = {}) {
  const server = await servePages();
  try {
    return await runPage(server.url(PAGE), TIMEOUT_MS, { flags, prepare });
  } finally {
    await server.close();
  }
}
