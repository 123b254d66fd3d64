// Shared heaps in a page that is served with the headers that they need, and in one without.
import { describe, expect, it } from "vitest";
import { runPage, servePages } from "../../scripts/pages.mjs";
import { PAGE } from "../support/heaps.ts";
import type { Seen } from "./isolation-page.ts";

/** What the page sees when it is served with the headers or without. */
async function seen(options: { isolated: boolean }): Promise<Seen> {
  const server = await servePages([], options);
  try {
    return await runPage(server.url("test/pages/isolation.html"), 60_000);
  } finally {
    await server.close();
  }
}

const BOTH_HEADERS =
  /"Cross-Origin-Opener-Policy: same-origin" .*"Cross-Origin-Embedder-Policy: require-corp"/;
const refusal = { code: "ERR_NOT_ISOLATED", message: expect.stringMatching(BOTH_HEADERS) };
/** A heap that gave 3 pages and then one. */
const works = (engine: string) => [engine, 0, 3 * PAGE];

describe("a page of the built package", () => {
  it("without the headers can make plain heaps only, and the error names both headers", async () => {
    const made = (engine: string) => ({ shared: refusal, plain: works(engine) });
    expect(await seen({ isolated: false })).toEqual({ isolated: false, wasm: made("wasm"), ts: made("ts") });
  });

  it("with the headers can make shared heaps too", async () => {
    const made = (engine: string) => ({ shared: works(engine), plain: works(engine) });
    expect(await seen({ isolated: true })).toEqual({ isolated: true, wasm: made("wasm"), ts: made("ts") });
  });
});
