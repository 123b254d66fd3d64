// The account of a simulation, held against the heap itself after every event: on traces whose allocations the heap
// puts elsewhere, with growth, unmapping and pages from before the trace, under a policy that releases at random.

import { go, type Policy, type PolicyHeap, parsePolicy, simulate } from "palloc/lab";
import * as wasm from "palloc/shared";
import type { PageTrace } from "palloc/trace";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import { KIND_CACHE, RECORD_CACHE, RECORD_KIND, RECORD_SCAV } from "../src/engine/layout.ts";
import { CORE } from "../src/heap/core.ts";
import { Random } from "./support/random.ts";
import type { PageAlloc } from "./support/subject.ts";
import { ALLOC, type Event, EXISTS, eventsOf, FREE, GROW, UNMAP } from "./support/trace-events.ts";

const PAGE = 8192;
const CHUNK_PAGES = 512;
const BASE = 0xc000 * CHUNK_PAGES * PAGE;
/** Pages that a trace uses. */
const PAGES = 8 * CHUNK_PAGES;

const at = (page: number) => BASE + page * PAGE;

/** A trace whose allocations lie at random, by two Ps. */
function scatteredTrace(seed: number, length: number): PageTrace {
  const random = new Random(seed);
  const inUse = new Uint8Array(PAGES);
  const isMapped = new Uint8Array(PAGES).fill(1, 0, 2 * CHUNK_PAGES);
  const live: Array<[page: number, npages: number]> = [];
  const events: Event[] = [[GROW, at(0), 2 * CHUNK_PAGES]];
  const isClear = (page: number, npages: number) => !inUse.subarray(page, page + npages).includes(1);
  const take = (kind: number, npages: number) => {
    const page = random.below(PAGES - npages);
    if (!isClear(page, npages)) return;
    inUse.fill(1, page, page + npages);
    isMapped.fill(1, page, page + npages);
    live.push([page, npages]);
    events.push([kind, at(page), npages, random.below(3) - 1]);
  };
  while (events.length < 20) take(EXISTS, random.between(1, 20));
  while (events.length < length) {
    const what = random.below(100);
    if (what < 50) {
      take(ALLOC, random.oneIn(10) ? random.between(50, 600) : random.between(1, 20));
    } else if (what < 95 && live.length > 0) {
      const [[page, npages]] = live.splice(random.below(live.length), 1);
      const part = random.between(1, npages);
      if (part < npages) live.push([page + part, npages - part]);
      inUse.fill(0, page, page + part);
      events.push([FREE, at(page), part]);
    } else {
      const npages = random.between(1, 700);
      const page = random.below(PAGES - npages);
      const range = isMapped.subarray(page, page + npages);
      if (what % 2 === 0 && !range.includes(1)) events.push([GROW, at(page), npages]);
      else if (what % 2 === 1 && !range.includes(0) && isClear(page, npages))
        events.push([UNMAP, at(page), npages]);
      else continue;
      range.fill(1 - (what % 2));
    }
  }
  return eventsOf(...events);
}

/** Releases at random, in every callback. */
function releasing(seed: number): Policy {
  return {
    name: "random",
    start(heap) {
      const random = new Random(seed);
      const release = () => {
        if (!random.oneIn(4)) return;
        const nbytes = random.below(400) * PAGE;
        if (random.oneIn(2)) heap.releaseDown(at(random.below(2 * PAGES)), nbytes);
        else heap.release(at(random.below(PAGES)), nbytes);
      };
      heap.onAlloc(release);
      heap.onFree(release);
      heap.onGrow(release);
      heap.onGc(release);
      const wake = () => {
        release();
        heap.wakeAt(heap.now + 300, wake);
      };
      wake();
    },
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

/** The number of 1s in two 32-bit words of a record. */
function onesAt(heap: PageAlloc, ref: number): number {
  const core = heap[CORE];
  const bits = [core.get(ref), core.get(ref + 4)].map((word) => word.toString(2)).join("");
  return bits.replaceAll("0", "").length;
}

/** Holds what a policy sees against the heap itself. */
function compare(seen: PolicyHeap): void {
  const { heap } = seen as PolicyHeap & { heap: PageAlloc };
  const core = heap[CORE];
  const caches = core.recordsOf().filter((ref) => core.get(ref + RECORD_KIND) === KIND_CACHE);
  const cached = sum(caches.map((ref) => onesAt(heap, ref + RECORD_CACHE))) * PAGE;
  const cachedReleased = sum(caches.map((ref) => onesAt(heap, ref + RECORD_SCAV))) * PAGE;
  const { sys, inUse, released, free } = heap.stats();
  const { heapBytes, inUseBytes, releasedBytes, freeBytes } = seen;
  expect({ heapBytes, inUseBytes, releasedBytes }).toEqual({
    heapBytes: sys,
    inUseBytes: inUse - cached,
    releasedBytes: released + cachedReleased,
  });
  expect(sum(seen.freeRuns().map((run) => run.nbytes))).toBe(free - released);
  const huge = seen.hugePages();
  expect(sum(huge.map((page) => page.inUseBytes))).toBe(inUseBytes);
  expect(sum(huge.map((page) => page.freeBytes))).toBe(freeBytes);
}

/** The same policy, with comparisons after all that it did for an event. */
function compared(policy: Policy, count: () => void): Policy {
  return {
    ...policy,
    start(heap) {
      policy.start(heap);
      const look = () => {
        compare(heap);
        count();
      };
      heap.onAlloc(look);
      heap.onFree(look);
      heap.onGrow(look);
    },
  };
}

const POLICIES: ReadonlyArray<[name: string, make: (seed: number) => Policy]> = [
  ["random releases", releasing],
  ["go", () => go({ memoryLimit: 2 ** 24 })],
  ["all", () => parsePolicy("all")],
];
const COURSES = [
  {},
  { growth: "needed" },
  { placement: "recorded" },
  { placement: "recorded", growth: "needed" },
] as const;

for (const [label, { PageAlloc }] of [
  ["wasm", wasm],
  ["ts", ts],
] as const) {
  describe(`what is counted of a simulated heap (${label})`, () => {
    describe.each(POLICIES)("%s", (_, make) => {
      it.each(COURSES)("is what the heap itself has: %o", (course) => {
        for (let seed = 1; seed <= 3; seed++) {
          const trace = {
            ...scatteredTrace(seed, 600),
            format: seed === 3 ? "malloc" : undefined,
          } as PageTrace;
          let looks = 0;
          let released = 0;
          const report = simulate(PageAlloc, trace, {
            ...course,
            policy: compared(make(seed), () => {
              looks++;
            }),
            onRelease: (_base, nbytes) => {
              released += nbytes;
            },
          });
          expect(looks).toBeGreaterThan(500);
          expect(released).toBeGreaterThan(0);
          expect([report.releasedBytes, report.scavengedBytes]).toEqual([released, released]);
          expect(report.retainedP99Bytes).toBeLessThanOrEqual(report.peakRetainedBytes);
        }
      });
    });
  });
}
