// What the naive model gives for calls that Go's allocator does not have. Counts pages from chunk 0xc000 on, as Go's
// golden results do.
import { GO_BASE, type GoRanges, goRanges, PAGE } from "./go-heap.ts";
import { Model } from "./model.ts";
import { PAGES } from "./naive.ts";
import { Random } from "./random.ts";

/** A call and its result. All numbers are in pages. */
export type ModelOp =
  | ["alloc", npages: number, align: number, page: number | null]
  | ["free", page: number, npages: number]
  | ["unmap", page: number, npages: number, unscavenged: number]
  | ["scavenge", npages: number, released: number]
  | ["longestFree", npages: number]
  | ["freeRuns", runs: [page: number, npages: number, scavenged: number][]];

export interface ModelHeap {
  physPageSize: number;
  alloc: GoRanges;
  scavenged: GoRanges;
  ops: ModelOp[];
}

const HEAPS = 60;
const CALLS = 50;
/** Longer lists of runs would fill the file. */
const MOST_RUNS = 40;
const FIRST = GO_BASE * PAGES;

/** Returns the facts of all heaps. */
export function modelFacts(): ModelHeap[] {
  return Array.from({ length: HEAPS }, (_, seed) => factsOf(new Random(seed + 1)));
}

function factsOf(random: Random): ModelHeap {
  const physPageSize = PAGE * random.pick([1, 1, 1, 2, 64, 128, PAGES]);
  const alloc: GoRanges = {};
  const scavenged: GoRanges = {};
  for (let chunk = 0; chunk < 20; chunk++) {
    if (random.oneIn(4)) continue;
    alloc[chunk] = ranges(random);
    scavenged[chunk] = ranges(random);
  }
  const options = { pageSize: PAGE, physPageSize, physHugePageSize: 0 };
  const model = Model.from({ alloc: goRanges(alloc), scavenged: goRanges(scavenged) }, options);
  const live: [page: number, npages: number][] = [];
  const ops = Array.from({ length: CALLS }, () => callOn(model, live, random));
  return { physPageSize, alloc, scavenged, ops };
}

/** Returns runs of pages of one chunk, some of them side by side. */
function ranges(random: Random): [first: number, count: number][] {
  const runs: [number, number][] = [];
  const most = random.pick([40, 100, 300]);
  for (let page = random.below(most); page < PAGES; page += random.below(most)) {
    const count = Math.min(random.between(1, most), PAGES - page);
    runs.push([page, count]);
    page += count;
  }
  return runs;
}

function callOn(model: Model, live: [page: number, npages: number][], random: Random): ModelOp {
  const kind = random.weighted({ alloc: 8, free: 4, unmap: 2, scavenge: 1, longestFree: 1, freeRuns: 1 });
  if (kind === "free" && live.length) {
    const [[page, npages]] = live.splice(random.below(live.length), 1);
    model.free((FIRST + page) * PAGE, npages);
    return ["free", page, npages];
  }
  const runs = model.freeRuns();
  if (kind === "unmap" && runs.length) {
    const { base, nbytes } = random.pick(runs);
    const skipped = random.below(nbytes / PAGE);
    const npages = random.between(1, nbytes / PAGE - skipped);
    const first = base + skipped * PAGE;
    return ["unmap", first / PAGE - FIRST, npages, model.unmap(first, npages * PAGE) / PAGE];
  }
  if (kind === "scavenge") {
    const npages = random.below(300);
    return ["scavenge", npages, model.scavenge(npages * PAGE) / PAGE];
  }
  if (kind === "longestFree") return ["longestFree", Math.max(0, ...runs.map(({ nbytes }) => nbytes / PAGE))];
  if (kind === "freeRuns" && runs.length <= MOST_RUNS)
    return [
      "freeRuns",
      runs.map((run) => [run.base / PAGE - FIRST, run.nbytes / PAGE, run.scavenged / PAGE]),
    ];
  const npages = random.pick([1, random.between(1, 8), random.between(1, 64), random.between(1, 700)]);
  const align = 2 ** random.below(random.pick([3, 7, 11]));
  const base = model.alloc(npages, { align });
  if (base < 0) return ["alloc", npages, align, null];
  live.push([base / PAGE - FIRST, npages]);
  return ["alloc", npages, align, base / PAGE - FIRST];
}
