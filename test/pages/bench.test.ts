// The page of `palloc bench --page`, served by the built command.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inPage } from "../../scripts/pages.mjs";

const COMMAND = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const COLUMNS = ["BigInt", "ts", "wasm"];

/** Starts the command. Returns the process, and the first text that it prints. */
async function serve(...args: string[]) {
  const server = spawn(process.execPath, [COMMAND, "bench", "--page", ...args]);
  const [text] = await once(server.stdout, "data");
  return { server, text: String(text) };
}

describe("palloc bench --page", () => {
  let server: Awaited<ReturnType<typeof serve>>["server"];
  let url: URL;
  beforeAll(async () => {
    const served = await serve("--quick", "--json");
    server = served.server;
    url = new URL(JSON.parse(served.text).url);
  });
  afterAll(async () => {
    server.kill("SIGINT");
    const [, signal] = await once(server, "exit");
    expect(signal).toBe("SIGINT");
  });

  it("times every case in every column, in an isolated page, and shows the same as JSON", async () => {
    const { isolated, cells, results } = await inPage(url, async (page: Page) => {
      await page.locator("#results").waitFor();
      return {
        isolated: await page.evaluate(() => crossOriginIsolated),
        cells: await page.locator("td").allTextContents(),
        results: JSON.parse(await page.locator("#results").inputValue()),
      };
    });
    expect(isolated).toBe(true);
    expect(results.columns).toEqual(COLUMNS);
    expect(results.header.runtime).toContain("Chrome");
    expect(results.rows.length).toBe(22);
    for (const { id, cells } of results.rows) {
      for (const column of id.startsWith("kernels, per call") ? COLUMNS : COLUMNS.slice(1))
        expect(cells[column].median, `${id}, ${column}`).toBeGreaterThan(0);
    }
    expect(cells.length).toBe(22 * (2 + COLUMNS.length));
    expect(cells).toContain("findScavengeCandidate");
  });

  it("serves only what is beside the page", async () => {
    const statusOf = async (path: string) => (await fetch(new URL(path, url))).status;
    expect(await statusOf("/index.js")).toBe(200);
    for (const path of ["/none.js", "/../package.json", "/..%2fpackage.json", "/api%2fstats.js", "/%"])
      expect(await statusOf(path), path).toBe(404);
  });

  it("prints the URL for people, and says when the port is taken", async () => {
    const taken = spawn(process.execPath, [COMMAND, "bench", "--page", url.port]);
    const [[said], [status]] = await Promise.all([once(taken.stderr, "data"), once(taken, "exit")]);
    expect(String(said)).toMatch(/^palloc: bench: .*EADDRINUSE.*\n$/);
    expect(status).toBe(1);
    const { server, text } = await serve();
    server.kill();
    expect(text).toMatch(/^Open http:\/\/127\.0\.0\.1:\d+\/ in a browser\. .*\n$/);
  });
});
