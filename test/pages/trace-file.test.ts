// A trace in a File that the user of a page has chosen, replayed in a worker: the page of the benchmark of traces.
import { openAsBlob } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PageAlloc } from "palloc";
import { openTrace, type ReplayReport, readTrace, replay } from "palloc/trace";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BROWSER_NAMES, hasBrowser, inTracePage } from "../../bench/traces/browsers.mjs";
import { pageTraceOf } from "../../bench/traces/inputs.mjs";

const NAMES = [
  "go-compile-runtime.pt.gz",
  "go-link.pt.zst",
  "go-exec/go1.27-prog-1p.trace.gz",
  "pytorch/tiny-5.pickle",
  "malloc/heaptrack.raw.gz",
  "perf-kmem/node.txt.gz",
];
const EVENTS = 200_000;

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/traces/${name}`, import.meta.url));

/** What does not depend on the clock, as JSON has it. */
function factsOf({ elapsedMs, eventsPerSecond, ...facts }: ReplayReport) {
  const lists = Object.entries(facts.series).map(([name, column]) => [name, [...column]]);
  return { ...facts, series: Object.fromEntries(lists) };
}

const replayedInNode = async (path: string) =>
  factsOf(await replay(PageAlloc, await openTrace(await openAsBlob(path))));

describe.each(BROWSER_NAMES)("a File in a worker of %s", (browser) => {
  let folder: string;
  let long: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "palloc-trace-file-"));
    long = join(folder, "long.pt");
    await pageTraceOf(EVENTS).write(long);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("gives the same report as in Node, where an array gives it too", async (context) => {
    if (!hasBrowser(browser)) return context.skip(`no ${browser} was found`);
    await inTracePage(browser, async ({ choose, run }) => {
      for (const path of [...NAMES.map(fixture), long]) {
        await choose(path);
        const facts = factsOf((await run("replay")).report);
        expect(facts, path).toEqual(await replayedInNode(path));
        const { series, ...whole } = factsOf(replay(PageAlloc, await readTrace(await readFile(path))));
        expect(facts, path).toMatchObject(whole);
      }
    });
  });

  it("is left half way when an AbortSignal says so, and can be replayed again", async (context) => {
    if (!hasBrowser(browser)) return context.skip(`no ${browser} was found`);
    await inTracePage(browser, async ({ choose, run }) => {
      await choose(long);
      const { replayed } = await run("stop", EVENTS / 2);
      expect(replayed).toBeGreaterThanOrEqual(EVENTS / 2);
      expect(replayed).toBeLessThan(EVENTS);
      expect((await run("replay")).report.events).toBe(EVENTS);
    });
  });
});
