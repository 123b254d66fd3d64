// The policies of other allocators once more, for the fake heap alone: they keep all that has happened, and work each
// answer out from the beginning. Slow, and plain to see right.
import type { Policy, PolicyHeap } from "../../src/lab/policy.ts";
import { FakePolicyHeap, type Page } from "./fake-policy-heap.ts";

const MS = 1e6;
const SECOND = 1e9;
const MIB = 2 ** 20;

/** A policy of the fake heap. */
function naive(name: string, start: (heap: FakePolicyHeap) => void): Policy {
  return {
    name,
    start(heap: PolicyHeap) {
      if (!(heap instanceof FakePolicyHeap)) throw new Error("naive policies want the fake heap");
      start(heap);
    },
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const most = (numbers: readonly number[]) => Math.max(0, ...numbers);
const isFree = (page: Page) => page.state === "free";
const isInUse = (page: Page) => page.state === "in use";

/** Runs of indices that pass a test, as [first, count]. */
function runsOf(count: number, test: (i: number) => boolean): [number, number][] {
  const text = Array.from({ length: count }, (_, i) => (test(i) ? "x" : " ")).join("");
  return [...text.matchAll(/x+/g)].map((match) => [match.index, match[0].length]);
}

const freeRuns = (heap: FakePolicyHeap) => runsOf(heap.pages.length, (i) => isFree(heap.pages[i]));
const pagesOf = (heap: FakePolicyHeap, [first, count]: [number, number]) =>
  heap.pages.slice(first, first + count);
const lastFreed = (heap: FakePolicyHeap, run: [number, number]) =>
  Math.max(...pagesOf(heap, run).map((page) => page.freedAt));

/** s(x) = 6x^5 - 15x^4 + 10x^3 for x = k/200, times 2^24, rounded down; in integers. */
export function naiveWeight(k: number): number {
  const n = BigInt(k);
  const numerator = 6n * n ** 5n - 15n * n ** 4n * 200n + 10n * n ** 3n * 200n ** 2n;
  return Number((numerator * 2n ** 24n) / 200n ** 5n);
}

/**
 * jemalloc. Each growth of the dirty pages is kept with the interval, counted from the start, in which it was noted.
 *
 * @param looks calls its argument when the allocator looks
 * @param jitter returns what is added to the next epoch
 */
export function naiveJemalloc(
  decayMs: number,
  looks: (heap: FakePolicyHeap, look: () => void) => void,
  jitter: (interval: number) => number,
): Policy {
  return naive("jemalloc", (heap) => {
    const interval = (decayMs * MS) / 200;
    const start = heap.now;
    const noted: { interval: number; pages: number }[] = [];
    let ended = 0;
    let deadline = start + interval + jitter(interval);
    let unpurged = 0;
    looks(heap, () => {
      if (heap.now < deadline) return;
      ended = Math.floor((heap.now - start) / interval);
      deadline = start + (ended + 1) * interval + jitter(interval);
      const dirty = heap.pages.filter(isFree).length;
      noted.push({ interval: ended, pages: Math.max(0, dirty - unpurged) });
      const weighted = noted.map(({ interval, pages }) => {
        const age = ended - interval;
        return age < 200 ? pages * naiveWeight(200 - age) : 0;
      });
      const limit = Math.floor(sum(weighted) / 2 ** 24);
      unpurged = Math.max(limit, dirty);
      while (heap.pages.filter(isFree).length > limit) {
        const oldest = Math.min(...freeRuns(heap).map((run) => lastFreed(heap, run)));
        const [page, npages] = freeRuns(heap).find((run) => lastFreed(heap, run) === oldest) as [
          number,
          number,
        ];
        heap.release(heap.addressOf(page), npages * heap.pageSize);
      }
    });
  });
}

/** What has happened in a part of the heap since it was purged last. */
type History = { time: number; kind: "free" | "reuse" }[];

/** Whether the last of a history, a free, purges. The deadline is worked out from its beginning. */
export function naiveIsPurged(history: History, delay: number, extend: number, restarts: boolean): boolean {
  if (delay === 0) return true;
  let deadline: number | undefined;
  let isPurged = false;
  for (const { time, kind } of history) {
    if (kind === "reuse") {
      if (restarts) deadline = time + delay;
    } else if (deadline === undefined) deadline = time + delay;
    else if (time < deadline) deadline += extend;
    else if (time - deadline >= extend) isPurged = true;
    else deadline = time + extend;
  }
  return isPurged;
}

/** mimalloc. A granule is purged if no page of it is in use, and one was freed since the last purge. */
export function naiveMimalloc(version: "2" | "3", delayMs: number): Policy {
  return naive("mimalloc", (heap) => {
    const granule = 2 ** 16 / heap.pageSize;
    const span = version === "2" ? (4 * MIB) / heap.pageSize : heap.pages.length;
    const extend = version === "2" ? MS : 0;
    const freed = heap.pages.map(() => false);
    const histories = new Map<number, History>();
    const historyOf = (at: number) => histories.get(at) ?? [];
    /** First pages of the granules of [first, end) that would be purged. */
    const due = (first: number, end: number) => {
      const found: number[] = [];
      for (let page = Math.floor(first / granule) * granule; page < end; page += granule) {
        const isWhole = !heap.pages.slice(page, page + granule).some(isInUse);
        if (isWhole && freed.slice(page, page + granule).includes(true)) found.push(page);
      }
      return found;
    };
    /** First pages of the spans that have a page of [first, end). */
    const spansOf = (first: number, end: number) =>
      [...Array(Math.ceil(heap.pages.length / span)).keys()]
        .map((i) => i * span)
        .filter((at) => at < end && at + span > first);
    const pageOf = (base: number) => (base - heap.base) / heap.pageSize;
    heap.onAlloc((base, nbytes) => {
      const first = pageOf(base);
      const end = pageOf(base + nbytes);
      for (const at of spansOf(first, end)) {
        const from = Math.floor(Math.max(first, at) / granule) * granule;
        const to = Math.ceil(Math.min(end, at + span) / granule) * granule;
        // What would have been purged before this event: its own pages were free then.
        const wasDue = (page: number) =>
          freed.slice(page, page + granule).includes(true) &&
          heap.pages
            .slice(page, page + granule)
            .every((each, i) => !isInUse(each) || (page + i >= first && page + i < end));
        let isReused = false;
        for (let page = from; page < to; page += granule) if (wasDue(page)) isReused = true;
        if (isReused) histories.set(at, [...historyOf(at), { time: heap.now, kind: "reuse" }]);
      }
      freed.fill(false, first, end);
    });
    heap.onFree((base, nbytes) => {
      const first = pageOf(base);
      const end = pageOf(base + nbytes);
      freed.fill(true, first, end);
      for (const at of spansOf(first, end)) {
        if (due(Math.max(first, at), Math.min(end, at + span)).length === 0) continue;
        const history: History = [...historyOf(at), { time: heap.now, kind: "free" }];
        histories.set(at, history);
        if (!naiveIsPurged(history, delayMs * MS, extend, version === "2")) continue;
        const pages = due(at, at + span);
        for (const [i, n] of runsOf(heap.pages.length / granule, (g) => pages.includes(g * granule))) {
          heap.release(heap.addressOf(i * granule), n * granule * heap.pageSize);
        }
        freed.fill(false, at, at + span);
        histories.delete(at);
      }
    });
  });
}

/** What tcmalloc would keep for demand to come, from all reports of it. */
export function naiveRequired(reports: readonly { time: number; demand: number }[], now: number): number {
  const epochOf = (time: number) => Math.floor(time / SECOND);
  const recent = (seconds: number) => {
    const epochs = new Map<number, number[]>();
    for (const { time, demand } of reports) {
      if (epochOf(now) - epochOf(time) >= seconds) continue;
      epochs.set(epochOf(time), [...(epochs.get(epochOf(time)) ?? []), demand]);
    }
    return [...epochs.values()];
  };
  const fluctuation = most(recent(60).map((demands) => Math.max(...demands) - Math.min(...demands)));
  const trend = most(recent(300).map((demands) => Math.min(...demands)));
  return Math.min(most(recent(600).flat()), fluctuation + trend);
}

/** tcmalloc. Huge pages are released one at a time, the best found anew each time. */
export function naiveTcmalloc(bytesPerSecond: number, subrelease: boolean): Policy {
  return naive("tcmalloc", (heap) => {
    const reports: { time: number; demand: number }[] = [];
    const report = () =>
      reports.push({ time: heap.now, demand: heap.pages.filter(isInUse).length * heap.pageSize });
    heap.onAlloc(report);
    heap.onFree(report);
    const size = heap.physHugePageSize / heap.pageSize;
    const hugePages = () =>
      Array.from({ length: heap.pages.length / size }, (_, i) => {
        const pages = heap.pages.slice(i * size, i * size + size);
        const released = pages.filter((page) => page.state === "released").length;
        return {
          page: i * size,
          used: pages.filter(isInUse).length,
          free: pages.filter(isFree).length,
          released,
        };
      }).filter(({ free }) => free > 0);
    const releaseFirst = (found: readonly { page: number }[]) =>
      heap.release(heap.addressOf(found[0].page), heap.physHugePageSize);
    let credit = 0;
    const wake = () => {
      const want = Math.max(0, bytesPerSecond - credit);
      credit = Math.max(0, credit - bytesPerSecond);
      let released = 0;
      const unused = () => hugePages().filter(({ used }) => used === 0);
      while (released < want && unused().length > 0) released += releaseFirst(unused());
      if (subrelease && released < want) {
        const required = naiveRequired(reports, heap.now);
        // Broken before this run: what the run itself releases does not move to the front.
        const broken = new Set(
          hugePages()
            .filter((each) => each.released > 0)
            .map(({ page }) => page),
        );
        for (const isBroken of [true, false]) {
          for (let used = 0; used <= size; used++) {
            for (const each of hugePages()) {
              const retained = heap.inUseBytes + heap.freeBytes;
              if (each.used !== used || broken.has(each.page) !== isBroken) continue;
              if (released < want && retained > required) released += releaseFirst([each]);
            }
          }
        }
      }
      if (want > 0) credit = Math.max(0, released - want);
      heap.wakeAt(heap.now + SECOND, wake);
    };
    heap.wakeAt(heap.now + SECOND, wake);
  });
}

/** PyTorch. A block is named by its first unit; ages are counted one by one. */
export function naivePytorch(gcThreshold: number, expandable: boolean): Policy {
  return naive("pytorch", (heap) => {
    const unit = (expandable ? 20 : 2) * MIB;
    const searches: number[] = [];
    /** Whole units that are free in all their pages, with the time of the last free in their run. */
    const units = () =>
      freeRuns(heap).flatMap((run) => {
        const start = heap.addressOf(run[0]);
        const end = heap.addressOf(run[0] + run[1]);
        const found: { run: number; base: number; freedAt: number }[] = [];
        for (let base = 0; base + unit <= end; base += unit) {
          if (base >= start) found.push({ run: run[0], base, freedAt: lastFreed(heap, run) });
        }
        return found;
      });
    const age = (freedAt: number) => searches.filter((time) => time > freedAt).length;
    heap.onAlloc((_base, _nbytes, faulted) => {
      searches.push(heap.now);
      if (faulted === 0) return;
      const before = heap.inUseBytes + heap.freeBytes - faulted;
      const threshold = Math.floor(gcThreshold * heap.memoryLimit);
      if (gcThreshold > 0 && !expandable && before > threshold) {
        let missing = before - threshold;
        while (missing > 0 && units().length > 0) {
          const blocks = [...new Map(units().map((each) => [each.run, age(each.freedAt)])).values()];
          const mean = sum(blocks) / blocks.length;
          const old = units().filter((each) => age(each.freedAt) >= mean);
          for (const { base } of old) missing -= heap.release(base, unit);
        }
      }
      while (heap.inUseBytes + heap.freeBytes > heap.memoryLimit && units().length > 0) {
        const oldest = Math.min(...units().map((each) => each.freedAt));
        heap.release(units().find((each) => each.freedAt === oldest)?.base ?? NaN, unit);
      }
    });
  });
}
