// Workers that are ended at any moment, and what is left of them.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE, touchedHeap } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import { Random } from "../support/random.ts";
import { same } from "../support/same.ts";
import type { PageAlloc } from "../support/subject.ts";
import { FIRST_CHUNKS } from "../support/workers/board.ts";
import { type Crew, ENGINES, type EngineName, type Hand, withHands } from "../support/workers/crew.ts";
import { HeapLock } from "../support/workers/heap-lock.ts";
import { PAIRS, sharedHeap } from "../support/workers/heaps.ts";
import { type HookOptions, LONG_CHUNKS } from "../support/workers/jobs.ts";
import { Findings, Overseer } from "../support/workers/overseer.ts";
import { Signals, sleep, until } from "../support/workers/signals.ts";

/**
 * Ends a worker that makes calls over many chunks, the last of which must have had all of its effect, or none. Returns
 * whether recovery had to see to that.
 */
async function endLongCall(hand: Hand, theirs: EngineName, ms: number): Promise<boolean> {
  const heap = new wasm.PageAlloc({ shared: true, metadataLimit: 2 ** 23 });
  const lock = new HeapLock(heap.handle);
  const signals = new Signals();
  hand.run("makeLongCalls", theirs, { handle: heap.handle, signals: signals.words.buffer });
  await signals.reached(0, 1);
  await sleep(ms);
  await hand.kill();
  const { journalOpen } = lock;
  heap.recover(signals.get(1));
  heap.check();
  const { sys, inUse, released } = heap.stats();
  const bytes = LONG_CHUNKS * CHUNK;
  same(
    [sys % bytes, inUse % bytes, released % bytes],
    [0, 0, 0],
    "what is left of bytes mapped, in use, released",
  );
  heap.grow(sys, bytes);
  same(heap.alloc(LONG_CHUNKS * PAGES), inUse, "the first address with room");
  heap.check();
  heap.dispose();
  return journalOpen;
}

type Hook = Pick<HookOptions, "hook" | "spins" | "caches">;

/** Actors on a heap, and workers that are started ahead to take their places. */
const ACTORS = 3;
const SPARE = 4;

/** Ends one actor of a heap after the other, while the others go on. */
async function reap(crew: Crew, seed: number, deaths: number, findings: Findings): Promise<void> {
  const random = new Random(seed);
  const overseer = new Overseer(seed % 2 ? wasm : ts, seed, findings);
  const ready = Array.from({ length: ACTORS + SPARE }, () => crew.start());
  const engage = async () => {
    const hand = await (ready.shift() as (typeof ready)[0]);
    overseer.engage(hand, random.pick(ENGINES), "all");
  };
  try {
    for (let k = 0; k < ACTORS; k++) await engage();
    for (let k = 0; k < deaths; k++) {
      overseer.board.limitChunks(FIRST_CHUNKS + Math.floor(k / 5));
      await sleep(random.below(8));
      await overseer.endOne(random.below(ACTORS));
      ready.push(crew.start());
      await engage();
    }
    await overseer.finish();
  } finally {
    await overseer.dismiss();
    for (const hand of await Promise.all(ready)) await hand.kill();
  }
}

/** Ends a worker that is in one of the hooks, and recovers. */
async function endInHook(crew: Crew, theirs: EngineName, heap: PageAlloc, how: Hook): Promise<void> {
  await withHands(crew, 1, async (hand) => {
    const signals = new Signals();
    hand.run("stayInHook", theirs, { handle: heap.handle, signals: signals.words.buffer, ...how });
    await signals.reached(0, 1);
    expect(() => heap.free(3 * PAGE, 10)).toThrow(expect.objectContaining({ code: "ERR_NOT_ALLOCATED" }));
    await hand.kill();
    heap.recover(signals.get(1));
  });
  heap.check();
}

/** @param heaps on how many heaps at once */
export function deathsSuite(crew: Crew, deaths: number, heaps: number): void {
  describe("terminated workers", () => {
    it(`lose no page and give none two owners (${deaths} at random moments)`, async () => {
      const findings = new Findings();
      const each = Math.ceil(deaths / heaps);
      await Promise.all(Array.from({ length: heaps }, (_, k) => reap(crew, k + 1, each, findings)));
      console.log("Ended:", JSON.stringify(findings));
      expect(findings.inCalls).toBeGreaterThan(0);
    }, 400_000);
  });

  describe.each(ENGINES)("a worker on %s that is terminated", (theirs) => {
    it("in a call over many chunks has made the whole call or none of it", async () => {
      const random = new Random(5);
      const ready = [crew.start(), crew.start()];
      let inCalls = 0;
      for (let left = Math.ceil(deaths / 20); left > 0; left--) {
        if (left > 2) ready.push(crew.start());
        const hand = await (ready.shift() as (typeof ready)[0]);
        if (await endLongCall(hand, theirs, random.below(20))) inCalls++;
      }
      console.log(`Ended in calls over many chunks (${theirs}): ${inCalls}`);
    });
  });

  describe.concurrent.each(PAIRS)("a heap of %s, when a worker on %s is terminated", (_, theirs, palloc) => {
    it.each([true, false])(
      "in the hook unused, has the hook's pages free and unscavenged (busy: %s)",
      async (spins) => {
        const heap = touchedHeap(palloc, [0], { shared: true });
        heap.resetScavengeAddr();
        const before = heap.ranges();
        await endInHook(crew, theirs, heap, { hook: "unused", spins });
        expect(heap.ranges()).toEqual(before);
        heap.resetScavengeAddr();
        expect(heap.scavenge()).toBe(CHUNK);
      },
    );

    it.each([true, false])(
      "in the hook used, has the hook's pages free (from a page cache: %s)",
      async (caches) => {
        const heap = sharedHeap(palloc);
        await endInHook(crew, theirs, heap, { hook: "used", spins: caches, caches });
        expect(heap.stats().inUse).toBe(3 * PAGE);
        expect(heap.alloc(10)).toBe(3 * PAGE);
      },
    );

    it("with a page cache, has the cache's remaining pages free", async () => {
      const heap = sharedHeap(palloc);
      await withHands(crew, 1, async (hand) => {
        const signals = new Signals();
        hand.run("cache", theirs, { handle: heap.handle, signals: signals.words.buffer });
        await signals.reached(0, 1);
        expect(heap.stats().inUse).toBe(64 * PAGE);
        await hand.kill();
        heap.recover(signals.get(1));
      });
      heap.check();
      heap.free(0, 8);
      expect(heap.stats().inUse).toBe(0);
    });

    it("with the lock, lets the waiting calls continue", async () => {
      const heap = sharedHeap(palloc);
      const { handle } = heap;
      await withHands(crew, 2, async (hand, other) => {
        const signals = new Signals();
        hand.run("hold", theirs, { handle, signals: signals.words.buffer });
        await signals.reached(0, 1);
        const call = other.call(theirs, { handle, lockTimeoutMs: Infinity }, ["alloc", 2]);
        await until(() => new HeapLock(handle).isWaitedFor);
        await hand.kill();
        heap.recover(signals.get(1));
        expect(await call).toEqual([3 * PAGE]);
      });
      heap.check();
    });

    it("while waiting for the lock, perhaps just woken, lets another waiting call continue", async () => {
      const heap = sharedHeap(palloc);
      const { handle, owner } = heap;
      const lock = new HeapLock(handle);
      for (let round = 0; round < 5; round++) {
        await withHands(crew, 2, async (hand, other) => {
          const signals = [new Signals(), new Signals()];
          lock.take(owner);
          const [, call] = [hand, other].map((each, i) => {
            const options = { handle, lockTimeoutMs: Infinity, signals: signals[i].words.buffer };
            return each.call(theirs, options, ["check"]);
          });
          for (const signal of signals) await signal.reached(0, 1);
          await sleep(round);
          const ended = hand.kill();
          lock.give();
          await ended;
          heap.recover(signals[0].get(1));
          expect(await call).toEqual([undefined]);
        });
      }
      heap.check();
    });
  });
}
