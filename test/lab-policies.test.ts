// The policies of other allocators: their rules by cases worked out by hand, and whole policies against naive ones, on
// the same random events.
import { describe, expect, it } from "vitest";
import {
  Decay,
  decayWeights,
  eventsToLook,
  type JemallocOptions,
  jemalloc,
} from "../src/lab/policies/jemalloc.ts";
import { type MimallocOptions, mimalloc, PurgeDeadline } from "../src/lab/policies/mimalloc.ts";
import { meanAgeRounds, type PytorchOptions, pytorch, SearchLog } from "../src/lab/policies/pytorch.ts";
import {
  DemandHistory,
  ReleaseBudget,
  subreleaseOrder,
  type TcmallocOptions,
  tcmalloc,
} from "../src/lab/policies/tcmalloc.ts";
import type { HugePage, Policy } from "../src/lab/policy.ts";
import { Random as LabRandom } from "../src/lab/random.ts";
import { type FakeOptions, FakePolicyHeap, type Release } from "./support/fake-policy-heap.ts";
import {
  naiveIsPurged,
  naiveJemalloc,
  naiveMimalloc,
  naivePytorch,
  naiveRequired,
  naiveTcmalloc,
  naiveWeight,
} from "./support/naive-policies.ts";
import { Random } from "./support/random.ts";
import { NOT_NUMBERS, NOT_OBJECTS, refused } from "./support/refusals.ts";

const MS = 1e6;
const SECOND = 1e9;
const MIB = 2 ** 20;

interface Event {
  time: number;
  kind: "alloc" | "free";
  page: number;
  npages: number;
}

/** Times between events: as a rule up to `most`, now and then up to `idle`. */
interface Pace {
  most: number;
  idle: number;
}

/** Events on `pages` pages, of which sometimes many, sometimes few are in use. */
function randomEvents(seed: number, pages: number, steps: number, largest: number, pace: Pace): Event[] {
  const random = new Random(seed);
  const live = new Map<number, number>();
  const used = new Array<boolean>(pages).fill(false);
  const events: Event[] = [];
  let time = 0;
  for (let step = 0; events.length < steps; step++) {
    time += 1 + random.below(random.oneIn(200) ? pace.idle : pace.most);
    const fills = Math.floor(step / 150) % 2 === 0;
    if (live.size > 0 && random.below(10) < (fills ? 3 : 7)) {
      const page = random.pick([...live.keys()]);
      const npages = live.get(page) ?? 0;
      live.delete(page);
      used.fill(false, page, page + npages);
      events.push({ time, kind: "free", page, npages });
      continue;
    }
    const npages = random.between(1, largest);
    const page = random.below(pages - npages + 1);
    if (used.slice(page, page + npages).includes(true)) continue;
    live.set(page, npages);
    used.fill(true, page, page + npages);
    events.push({ time, kind: "alloc", page, npages });
  }
  return events;
}

/** Returns what a policy releases. */
function play(policy: Policy, options: FakeOptions, events: readonly Event[]): FakePolicyHeap {
  const heap = new FakePolicyHeap(options).with(policy);
  for (const { time, kind, page, npages } of events) heap[kind](time, page, npages);
  return heap;
}

/** Releases page by page, lowest first at each time: how calls are cut does not matter. */
function pageByPage(releases: readonly Release[]): [time: number, page: number][] {
  return releases
    .flatMap(([time, page, npages]) =>
      Array.from({ length: npages }, (_, i): [number, number] => [time, page + i]),
    )
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

describe("random numbers of policies", () => {
  it("are those of splitmix32", () => {
    const random = new LabRandom(12345);
    const same = new Random(12345);
    for (let i = 0; i < 100; i++) expect(random.next()).toBe(same.bits() / 2 ** 32);
    for (let i = 0; i < 100; i++) expect(random.below(50_000_000)).toBe(same.below(50_000_000));
  });
});

describe("jemalloc's curve", () => {
  it("allows what 6x^5 - 15x^4 + 10x^3 says, rounded down to 24 binary places", () => {
    const weights = decayWeights();
    // x = 1/200: 1.875e-11 - 9.375e-9 + 1.25e-6 = 1.24064375e-6; times 16,777,216: 20.81.
    expect(weights[0]).toBe(20);
    // x = 2/200: 6e-10 - 1.5e-7 + 1e-5 = 9.8506e-6; times 16,777,216: 165.27.
    expect(weights[1]).toBe(165);
    // x = 1/2: 6/32 - 15/16 + 10/8 = 0.5.
    expect(weights[99]).toBe(2 ** 23);
    // x = 199/200: 1 - 1.24064375e-6; 16,777,216 - 20.81 = 16,777,195.19.
    expect(weights[198]).toBe(16_777_195);
    expect(weights[199]).toBe(2 ** 24);
  });

  it("is that of integers, in all 200 steps", () => {
    expect([...decayWeights()]).toEqual(Array.from({ length: 200 }, (_, i) => naiveWeight(i + 1)));
  });

  it("lets 1,000 pages go by age: all, 999, half, none", () => {
    // 10 s are 200 intervals of 50 ms.
    const decay = new Decay(10 * SECOND, 0, () => 0);
    expect(decay.deadline).toBe(50 * MS);
    expect(decay.advance(50 * MS, 1000)).toBe(1000);
    expect(decay.deadline).toBe(100 * MS);
    // They are at index 198: floor(1000 x 16,777,195 / 16,777,216) = floor(999.9987).
    expect(decay.advance(100 * MS, 1000)).toBe(999);
    // 99 intervals on, at index 99.
    expect(decay.advance(5050 * MS, 999)).toBe(500);
    // 99 more, at index 0: floor(1000 x 20 / 16,777,216).
    expect(decay.advance(10_000 * MS, 500)).toBe(0);
  });

  it("notes only what there is more than at the last epoch's beginning", () => {
    const decay = new Decay(10 * SECOND, 0, () => 0);
    decay.advance(50 * MS, 600);
    // 600 at index 198 give 599.99; 400 are new.
    expect(decay.advance(100 * MS, 1000)).toBe(999);
    // The dirty pages were 1,000, so 900 are no new ones: floor((600 h(197) + 400 h(198)) / 2^24), with
    // h(197) = 2^24 - 165.27: 1000 - 600 x 9.85e-6 - 400 x 1.24e-6 = 999.99.
    expect(decay.advance(150 * MS, 900)).toBe(999);
    // 200 intervals later all of that is forgotten, and 950 - 999 are none.
    expect(decay.advance(10_150 * MS, 950)).toBe(0);
  });

  it("takes the limit for the dirty pages of an epoch that has fewer", () => {
    const decay = new Decay(10 * SECOND, 0, () => 0);
    decay.advance(50 * MS, 1000);
    expect(decay.advance(100 * MS, 0)).toBe(999);
    // 1,000 - 999 = 1 is new: 1000 h(197) + 1 = 1000.99.
    expect(decay.advance(150 * MS, 1000)).toBe(1000);
  });

  it("ends an epoch an interval and the jitter after it began, and begins the next on a multiple", () => {
    const asked: number[] = [];
    const decay = new Decay(10 * SECOND, 7, (n) => {
      asked.push(n);
      return 30 * MS;
    });
    expect(decay.deadline).toBe(80 * MS + 7);
    // 3 intervals have passed: the epoch began at 150 ms.
    decay.advance(199 * MS, 10);
    expect(decay.deadline).toBe(230 * MS + 7);
    expect(asked).toEqual([50 * MS, 50 * MS]);
  });

  it("looks every 1,000 events on average, at the next one at the earliest", () => {
    expect(eventsToLook(0)).toBe(1);
    // Half of the looks come within ln(0.5) / ln(0.999) = 692.8 events.
    expect(eventsToLook(0.5)).toBe(693);
    const random = new LabRandom(3);
    const gaps = Array.from({ length: 40_000 }, () => eventsToLook(random.next()));
    const mean = gaps.reduce((a, b) => a + b) / gaps.length;
    // The mean of 40,000 has a deviation of 1,000 / 200 = 5.
    expect(Math.abs(mean - 1000)).toBeLessThan(20);
  });
});

describe("jemalloc", () => {
  it("releases whole runs, those freed first before others, with the background thread", () => {
    // Decay in 200 ms: intervals of 1 ms, so that each look ends an epoch.
    const heap = new FakePolicyHeap({ pages: 100 }).with(
      jemalloc({ dirtyDecayMs: 200, backgroundThread: true }),
    );
    heap.alloc(0, 0, 100);
    heap.free(1 * MS, 50, 20);
    heap.free(2 * MS, 0, 10);
    heap.free(3 * MS, 20, 10);
    // At 100 ms 40 pages are new, and all may stay. At 200 ms they are 100 intervals old, at index 99: 20 may.
    heap.idle(250 * MS);
    expect(heap.releases).toEqual([[200 * MS, 50, 20]]);
    // 100 intervals on they are forgotten.
    heap.idle(350 * MS);
    expect(heap.releases.slice(1)).toEqual([
      [300 * MS, 0, 10],
      [300 * MS, 20, 10],
    ]);
  });

  it("keeps the pages of a program that is idle, without the background thread", () => {
    const heap = new FakePolicyHeap({ pages: 100 }).with(jemalloc({ dirtyDecayMs: 200 }));
    heap.alloc(0, 0, 100);
    heap.free(1, 0, 50);
    heap.idle(3600 * SECOND);
    expect(heap.releases).toEqual([]);
  });

  it("releases at each free with a decay of 0, as much as is whole physical pages", () => {
    const heap = new FakePolicyHeap({ pages: 16, pageSize: 4096, physPageSize: 16_384 });
    heap.with(jemalloc({ dirtyDecayMs: 0 }));
    heap.alloc(0, 0, 16);
    heap.free(1, 0, 2);
    heap.free(2, 5, 4);
    // Now the first two physical pages, of 4 pages each, are free.
    heap.free(3, 2, 3);
    expect(heap.releases).toEqual([[3, 0, 8]]);
  });

  it("releases nothing with a decay of -1", () => {
    const events = randomEvents(1, 100, 5000, 8, { most: SECOND, idle: 100 * SECOND });
    for (const backgroundThread of [false, true]) {
      expect(play(jemalloc({ dirtyDecayMs: -1, backgroundThread }), { pages: 100 }, events).releases).toEqual(
        [],
      );
    }
  });

  it.each([1, 2, 3])("releases what a naive one does with the background thread, seed %i", (seed) => {
    const random = new LabRandom(seed);
    const looks = (heap: FakePolicyHeap, look: () => void) => {
      for (let time = 0.1; time < 1000; time += 0.1) heap.wakeAt(Math.round(time * 10) * 100 * MS, look);
    };
    const plain = naiveJemalloc(10_000, looks, (n) => random.below(n));
    const policy = jemalloc({ backgroundThread: true, seed });
    const events = randomEvents(seed, 200, 2000, 8, { most: 100 * MS, idle: 20 * SECOND });
    const { releases, lists } = play(policy, { pages: 200 }, events);
    expect(releases).toEqual(play(plain, { pages: 200 }, events).releases);
    expect(releases.length).toBeGreaterThan(50);
    expect(lists).toBeLessThanOrEqual(releases.length);
  });

  it.each([4, 5])("releases what a naive one does when events look, seed %i", (seed) => {
    const random = new LabRandom(seed);
    const looks = (heap: FakePolicyHeap, look: () => void) => {
      let left = eventsToLook(random.next());
      const count = () => {
        left--;
        if (left > 0) return;
        left = eventsToLook(random.next());
        look();
      };
      heap.onAlloc(count);
      heap.onFree(count);
    };
    const plain = naiveJemalloc(1000, looks, (n) => random.below(n));
    const events = randomEvents(seed, 200, 60_000, 8, { most: 40_000, idle: 4 * MS });
    const { releases } = play(jemalloc({ dirtyDecayMs: 1000, seed }), { pages: 200 }, events);
    expect(releases).toEqual(play(plain, { pages: 200 }, events).releases);
    expect(releases.length).toBeGreaterThan(20);
  });
});

describe("mimalloc's deadline", () => {
  it("is 10 ms after the first free, and 1 ms later for each free before it", () => {
    const deadline = new PurgeDeadline(10 * MS, MS);
    // At 10 ms; then at 11 and 12.
    expect([0, 9, 10.5].map((ms) => deadline.free(ms * MS))).toEqual([false, false, false]);
    // At 12.5 it is 0.5 ms late: the next is 13.5.
    expect(deadline.free(12.5 * MS)).toBe(false);
    // At 14.5 it is 1 ms late.
    expect(deadline.free(14.5 * MS)).toBe(true);
    // It is off, so this is a first free: 30 ms.
    expect(deadline.free(20 * MS)).toBe(false);
    expect(deadline.free(30.9 * MS)).toBe(false);
    expect(deadline.free(32.9 * MS)).toBe(true);
  });

  it("stays where it is without an extension", () => {
    const deadline = new PurgeDeadline(1000 * MS, 0);
    expect([0, 500, 999].map((ms) => deadline.free(ms * MS))).toEqual([false, false, false]);
    expect(deadline.free(1000 * MS)).toBe(true);
    expect(deadline.free(1001 * MS)).toBe(false);
  });

  it("starts anew when what was freed is used again", () => {
    const deadline = new PurgeDeadline(10 * MS, MS);
    deadline.free(0);
    deadline.restart(8 * MS);
    // The deadline is 18 ms; at 17 it moves to 19.
    expect(deadline.free(17 * MS)).toBe(false);
    expect(deadline.free(19.9 * MS)).toBe(false);
    expect(deadline.free(22 * MS)).toBe(true);
  });

  it.each([1, 2, 3])("is what the whole history says, seed %i", (seed) => {
    const random = new Random(seed);
    const deadline = new PurgeDeadline(10 * MS, MS);
    let history: Parameters<typeof naiveIsPurged>[0] = [];
    let purges = 0;
    for (let time = 0, step = 0; step < 5000; step++) {
      time += random.below(random.oneIn(10) ? 20 * MS : 2 * MS);
      const kind = history.length > 0 && random.oneIn(20) ? "reuse" : "free";
      history.push({ time, kind });
      if (kind === "reuse") {
        deadline.restart(time);
        continue;
      }
      const isPurged = deadline.free(time);
      expect(isPurged).toBe(naiveIsPurged(history, 10 * MS, MS, true));
      if (!isPurged) continue;
      history = [];
      purges++;
    }
    expect(purges).toBeGreaterThan(100);
  });
});

describe("mimalloc", () => {
  // A granule is 8 pages of 8 KiB.
  it("purges whole granules, and none that is in use again", () => {
    const heap = new FakePolicyHeap({ pages: 64 }).with(mimalloc());
    heap.alloc(0, 0, 64);
    // Granules 1 and 2 whole, a part of 0 and of 3.
    heap.free(1 * MS, 6, 20);
    // Granules 4 and 5, of which 5 is used again.
    heap.free(2 * MS, 32, 16);
    heap.alloc(3 * MS, 40, 1);
    // A part of granule 6 looks at nothing.
    heap.free(1500 * MS, 48, 4);
    expect(heap.releases).toEqual([]);
    // The rest of granule 0.
    heap.free(1600 * MS, 0, 6);
    expect(heap.releases).toEqual([
      [1600 * MS, 0, 24],
      [1600 * MS, 32, 8],
    ]);
    // The rest of granule 3 starts a new delay.
    heap.free(1700 * MS, 26, 6);
    heap.free(2699 * MS, 52, 4);
    heap.idle(10 * SECOND);
    expect(heap.releases).toHaveLength(2);
    heap.free(11 * SECOND, 56, 8);
    expect(heap.releases.slice(2)).toEqual([
      [11 * SECOND, 24, 8],
      [11 * SECOND, 48, 16],
    ]);
  });

  it("has a deadline for each 4 MiB in version 2, and one for all in version 3", () => {
    const run = (options: MimallocOptions) => {
      // Two times 512 pages.
      const heap = new FakePolicyHeap({ pages: 1024 }).with(mimalloc(options));
      heap.alloc(0, 0, 1024);
      heap.free(0, 0, 8);
      heap.free(15 * MS, 1000, 8);
      return heap.releases;
    };
    expect(run({ version: "2" })).toEqual([]);
    expect(run({ version: "3", purgeDelayMs: 10 })).toEqual([
      [15 * MS, 0, 8],
      [15 * MS, 1000, 8],
    ]);
  });

  it("purges at each free with a delay of 0, and never with -1", () => {
    for (const version of ["2", "3"] as const) {
      const run = (purgeDelayMs: number) => {
        const heap = new FakePolicyHeap({ pages: 32 }).with(mimalloc({ purgeDelayMs, version }));
        heap.alloc(0, 0, 32);
        heap.free(1, 0, 12);
        heap.free(100 * SECOND, 12, 4);
        return heap.releases;
      };
      expect(run(0)).toEqual([
        [1, 0, 8],
        [100 * SECOND, 8, 8],
      ]);
      expect(run(-1)).toEqual([]);
    }
  });

  it.each([
    { version: "2", seed: 1 },
    { version: "2", seed: 2 },
    { version: "3", seed: 3 },
    { version: "3", seed: 4 },
  ] as const)("purges what a naive one does, version $version, seed $seed", ({ version, seed }) => {
    const [delay, most] = version === "2" ? [10, MS] : [1000, 30 * MS];
    const events = randomEvents(seed, 1200, 4000, 40, { most, idle: 20 * most });
    const options = { pages: 1280 };
    const { releases, lists } = play(mimalloc({ version }), options, events);
    expect(releases).toEqual(play(naiveMimalloc(version, delay), options, events).releases);
    expect(releases.length).toBeGreaterThan(50);
    expect(lists).toBe(0);
  });
});

describe("tcmalloc's budget", () => {
  it("takes off what was too much, over several seconds, and forgets what was short", () => {
    const budget = new ReleaseBudget(100, 0);
    expect(budget.wanted(1 * SECOND)).toBe(100);
    budget.spend(100, 330);
    // 230 too much: 100 and 100 of them for the next two, 30 for the third.
    expect(budget.wanted(2 * SECOND)).toBe(0);
    expect(budget.wanted(3 * SECOND)).toBe(0);
    expect(budget.wanted(4 * SECOND)).toBe(70);
    budget.spend(70, 10);
    expect(budget.wanted(5.5 * SECOND)).toBe(150);
  });
});

describe("tcmalloc's history of demand", () => {
  it("wants the largest fluctuation of 60 s on top of the largest least demand of 300 s", () => {
    const history = new DemandHistory();
    for (const demand of [500, 450]) history.report(0.5 * SECOND, demand);
    for (const demand of [100, 300, 250]) history.report(10.2 * SECOND, demand);
    // Fluctuation 300 - 100 = 200, trend 450; their 650 are over the peak of 500.
    expect(history.required(20 * SECOND)).toBe(500);
    // Epoch 10 is 59 epochs old, then 60: 200 + 450 again, then 450 alone.
    expect(history.required(69.9 * SECOND)).toBe(500);
    expect(history.required(70 * SECOND)).toBe(450);
    for (const demand of [180, 160]) history.report(250 * SECOND, demand);
    // 20 of epoch 250 and 450 of epoch 0, which is 299 epochs old; then 300, and 160 is the most.
    expect(history.required(299 * SECOND)).toBe(470);
    expect(history.required(300 * SECOND)).toBe(20 + 160);
    // From 310 on the fluctuation is none. From 550 on nothing is known but the peak.
    expect(history.required(310 * SECOND)).toBe(160);
    expect(history.required(550 * SECOND)).toBe(0);
  });

  it("has no demand from before 10 minutes, and no epoch twice", () => {
    const history = new DemandHistory();
    history.report(5 * SECOND, 100);
    history.report(5.5 * SECOND, 300);
    // 600 epochs later, in the same place.
    history.report(605 * SECOND, 40);
    expect(history.required(605 * SECOND)).toBe(40);
  });

  it.each([1, 2, 3])("is what all reports say, seed %i", (seed) => {
    const random = new Random(seed);
    const history = new DemandHistory();
    const reports: { time: number; demand: number }[] = [];
    for (let time = 0, step = 0; step < 1500; step++) {
      time += random.below(random.oneIn(100) ? 400 * SECOND : SECOND);
      const demand = random.below(random.oneIn(40) ? 10_000 : 1000);
      history.report(time, demand);
      reports.push({ time, demand });
      const later = time + random.below(random.oneIn(4) ? 700 * SECOND : SECOND);
      expect(history.required(later)).toBe(naiveRequired(reports, later));
    }
  });
});

describe("tcmalloc", () => {
  // 8 huge pages of 16 pages of 8 KiB, 128 KiB each.
  const options = { pages: 128, physHugePageSize: 2 ** 17 };

  it("breaks those that are broken already first, then those with the fewest bytes in use", () => {
    const page = (base: number, inUseBytes: number, releasedBytes: number): HugePage => {
      return { base, inUseBytes, freeBytes: 1, releasedBytes };
    };
    const pages = [page(1, 3, 0), page(2, 1, 0), page(3, 9, 1), page(4, 3, 0), page(5, 2, 1)];
    expect(pages.sort(subreleaseOrder).map(({ base }) => base)).toEqual([5, 3, 2, 1, 4]);
  });

  it("releases huge pages without a page in use, as many a second as the rate says", () => {
    const heap = new FakePolicyHeap(options).with(tcmalloc({ bytesPerSecond: 2 ** 16, subrelease: false }));
    heap.alloc(0, 0, 128);
    heap.free(1, 8, 56);
    // One huge page is twice the rate: it counts for two seconds. Huge page 0 is in use.
    heap.idle(10 * SECOND);
    expect(heap.releases).toEqual([
      [1 * SECOND, 16, 16],
      [3 * SECOND, 32, 16],
      [5 * SECOND, 48, 16],
    ]);
  });

  it("leaves as much as the program had in use in the last minutes", () => {
    const heap = new FakePolicyHeap(options).with(tcmalloc({ bytesPerSecond: 2 ** 30 }));
    heap.alloc(0, 0, 64);
    heap.free(0.5 * SECOND, 0, 8);
    heap.free(0.6 * SECOND, 16, 12);
    // Peak 64, least 44, so all 64 pages are wanted back until the fluctuation is 60 epochs old. Then 44, the least, is
    // the largest least demand, and all 20 free pages may go, the huge page with 4 pages in use first.
    heap.idle(59.9 * SECOND);
    expect(heap.releases).toEqual([]);
    heap.idle(100 * SECOND);
    expect(heap.releases).toEqual([
      [60 * SECOND, 16, 12],
      [60 * SECOND, 0, 8],
    ]);
  });

  it("takes a huge page whole when the demand allows a part of it", () => {
    const heap = new FakePolicyHeap(options).with(tcmalloc({ bytesPerSecond: 2 ** 30 }));
    heap.alloc(0.1 * SECOND, 0, 32);
    heap.free(1.5 * SECOND, 0, 8);
    heap.free(2.5 * SECOND, 16, 8);
    // Until 300 s the least demand of epoch 0 wants all 32 back. From then on it is that of epoch 1, 24: of the 16 free
    // pages 8 may go. From 301 s on the 16 of epoch 2 are the most.
    heap.idle(300.5 * SECOND);
    expect(heap.releases).toEqual([[300 * SECOND, 0, 8]]);
    heap.idle(302 * SECOND);
    expect(heap.releases.slice(1)).toEqual([[301 * SECOND, 16, 8]]);
  });

  it("does nothing at the rate of 0, with huge pages or without", () => {
    for (const physHugePageSize of [0, 2 ** 17]) {
      const heap = new FakePolicyHeap({ pages: 128, physHugePageSize }).with(tcmalloc());
      heap.alloc(0, 0, 128);
      heap.free(1, 0, 128);
      heap.idle(1000 * SECOND);
      expect(heap.releases).toEqual([]);
    }
  });

  it("cannot do without huge pages", () => {
    const heap = new FakePolicyHeap({ pages: 1, physHugePageSize: 0 });
    const refusal = { error: RangeError, names: ["options.physHugePageSize", "tcmalloc"] };
    refused(() => heap.with(tcmalloc({ bytesPerSecond: 1 })), refusal, "start");
  });

  it.each([
    { seed: 1, subrelease: true },
    { seed: 2, subrelease: true },
    { seed: 3, subrelease: false },
  ])("releases what a naive one does, seed $seed, subrelease $subrelease", ({ seed, subrelease }) => {
    const bytesPerSecond = 50_000 * seed;
    const events = randomEvents(seed, 128, 1500, 12, { most: 400 * MS, idle: 120 * SECOND });
    const { releases } = play(tcmalloc({ bytesPerSecond, subrelease }), options, events);
    expect(releases).toEqual(play(naiveTcmalloc(bytesPerSecond, subrelease), options, events).releases);
    expect(releases.length).toBeGreaterThan(30);
  });
});

describe("PyTorch's rounds", () => {
  const blocks = (...ages: number[]) => ages.map((age) => ({ age, nbytes: 10 }));
  const taken = (nbytes: number, ...ages: number[]) => {
    return meanAgeRounds(blocks(...ages), nbytes).map(({ age }) => age);
  };

  it("take what is of the mean age or older, until there is enough", () => {
    // The mean is 12 / 3 = 4; then 3 / 2 = 1.5; then 1.
    expect(taken(5, 1, 2, 9)).toEqual([9]);
    expect(taken(10, 1, 2, 9)).toEqual([9]);
    expect(taken(11, 1, 2, 9)).toEqual([9, 2]);
    expect(taken(21, 1, 2, 9)).toEqual([9, 2, 1]);
    expect(taken(1000, 1, 2, 9)).toEqual([9, 2, 1]);
  });

  it("are not cut short", () => {
    // The mean is 10 / 3 = 3.3.
    expect(taken(1, 5, 0, 5)).toEqual([5, 5]);
    expect(taken(1, 7, 7, 7)).toEqual([7, 7, 7]);
  });

  it("take nothing of nothing", () => {
    expect(taken(1)).toEqual([]);
    expect(taken(0, 1)).toEqual([]);
  });

  it("count the searches after a time", () => {
    const log = new SearchLog();
    expect(log.after(0)).toBe(0);
    for (const time of [1, 2, 2, 2, 5]) log.add(time);
    expect([0, 1, 2, 4, 5].map((time) => log.after(time))).toEqual([5, 4, 1, 1, 0]);
  });
});

describe("pytorch", () => {
  // Pages of 256 KiB: 8 are 2 MiB, 80 are 20 MiB.
  const pageSize = 2 ** 18;

  it.each([
    { excess: 8, released: [[7, 0, 8]] },
    {
      excess: 9,
      released: [
        [7, 0, 8],
        [7, 24, 8],
      ],
    },
  ])("releases blocks by age when the share is passed by $excess pages", ({ excess, released }) => {
    // 80 of 160 pages are allowed.
    const memoryLimit = 160 * pageSize;
    const heap = new FakePolicyHeap({ pages: 160, pageSize, memoryLimit }).with(
      pytorch({ gcThreshold: 0.5 }),
    );
    heap.alloc(1, 0, 80);
    heap.free(2, 0, 8);
    heap.free(2, 60, 4);
    heap.alloc(3, 60, 1);
    heap.alloc(4, 61, 1);
    heap.free(5, 17, 17);
    // 80 pages were taken before this: not more than the share.
    heap.alloc(6, 80, excess);
    expect(heap.releases).toEqual([]);
    // Blocks: [0, 8), with the searches at 3, 4, 6 and 7; [24, 32), all that is whole of [17, 34), with those at 6 and
    // 7. The mean is (4 + 2) / 2 = 3: the first goes, 8 pages. If that is too little, the mean is 2.
    heap.alloc(7, 100, 1);
    expect(heap.releases).toEqual(released);
  });

  it("does nothing without a limit, or when nothing new is taken", () => {
    const run = (memoryLimit: number) => {
      const heap = new FakePolicyHeap({ pages: 64, pageSize, memoryLimit }).with(
        pytorch({ gcThreshold: 0.1 }),
      );
      heap.alloc(1, 0, 48);
      heap.free(2, 0, 24);
      heap.alloc(3, 0, 4);
      return heap.releases;
    };
    expect(run(Infinity)).toEqual([]);
    expect(run(64 * pageSize)).toEqual([]);
  });

  it.each([
    { gcThreshold: 0, expandable: false, unit: 8 },
    { gcThreshold: 0, expandable: true, unit: 80 },
    { gcThreshold: 0.1, expandable: true, unit: 80 },
  ])("releases the oldest units at the limit: $unit pages", ({ gcThreshold, expandable, unit }) => {
    const memoryLimit = 420 * pageSize;
    const heap = new FakePolicyHeap({ pages: 480, base: 0, pageSize, memoryLimit });
    heap.with(pytorch({ gcThreshold, expandable }));
    heap.alloc(1, 0, 420);
    heap.free(2, 160, 170);
    heap.free(3, 0, 150);
    heap.alloc(4, 420, 1);
    // One page is too much: the lowest unit of the run freed first.
    expect(heap.releases).toEqual([[4, 160, unit]]);
  });

  it.each([
    { seed: 1, gcThreshold: 0.6, expandable: false },
    { seed: 2, gcThreshold: 0.3, expandable: false },
    { seed: 3, gcThreshold: 0, expandable: false },
    { seed: 4, gcThreshold: 0.6, expandable: true },
  ])("releases what a naive one does, seed $seed", ({ seed, gcThreshold, expandable }) => {
    const options = { pages: 1000, pageSize, memoryLimit: 700 * pageSize };
    const events = randomEvents(seed, 1000, 1500, expandable ? 20 : 12, { most: 1000, idle: 1000 });
    const { releases } = play(pytorch({ gcThreshold, expandable }), options, events);
    const plain = play(naivePytorch(gcThreshold, expandable), options, events).releases;
    expect(pageByPage(releases)).toEqual(pageByPage(plain));
    expect(releases.length).toBeGreaterThan(5);
  });
});

describe("policies of other allocators", () => {
  it("have names that tell their options", () => {
    expect(
      [
        jemalloc(),
        jemalloc({ dirtyDecayMs: -1, backgroundThread: true, seed: 7 }),
        mimalloc(),
        mimalloc({ version: "2" }),
        mimalloc({ purgeDelayMs: 0 }),
        tcmalloc(),
        tcmalloc({ bytesPerSecond: 1048576, subrelease: false }),
        pytorch(),
        pytorch({ gcThreshold: 0.8, expandable: true }),
      ].map(({ name }) => name),
    ).toEqual([
      "jemalloc:dirtyDecayMs=10000",
      "jemalloc:dirtyDecayMs=-1,backgroundThread=true,seed=7",
      "mimalloc:version=3,purgeDelayMs=1000",
      "mimalloc:version=2,purgeDelayMs=10",
      "mimalloc:version=3,purgeDelayMs=0",
      "tcmalloc:bytesPerSecond=0",
      "tcmalloc:bytesPerSecond=1048576,subrelease=false",
      "pytorch:gcThreshold=0",
      "pytorch:gcThreshold=0.8,expandable=true",
    ]);
  });

  it.each([
    jemalloc({ dirtyDecayMs: 100 }),
    jemalloc({ backgroundThread: true }),
    mimalloc(),
    mimalloc({ version: "2" }),
    tcmalloc({ bytesPerSecond: 2 ** 20 }),
    pytorch({ gcThreshold: 0.5 }),
  ])("do the same in each simulation: $name", (policy) => {
    const options = { pages: 512, memoryLimit: 3 * MIB };
    const events = randomEvents(9, 512, 6000, 24, { most: 100 * MS, idle: 30 * SECOND });
    const large = policy.name.startsWith("pytorch") ? { pageSize: 2 ** 18, memoryLimit: 64 * MIB } : {};
    const first = play(policy, { ...options, ...large }, events).releases;
    expect(first.length).toBeGreaterThan(2);
    expect(play(policy, { ...options, ...large }, events).releases).toEqual(first);
  });

  it("refuse options that are none", () => {
    for (const make of [jemalloc, mimalloc, tcmalloc, pytorch] as ((options: never) => Policy)[]) {
      for (const value of NOT_OBJECTS) {
        refused(
          () => make(value as never),
          { error: TypeError, names: ["options must be an object"] },
          make.name,
        );
      }
      const unknown = { error: TypeError, names: ["options.decay is unknown; known: "] };
      refused(() => make({ decay: 1 } as never), unknown, make.name);
    }
  });

  it("refuse values that they cannot use, and say which are allowed", () => {
    const cases: [
      call: (value: never) => Policy,
      name: string,
      allowed: string,
      wrong: readonly unknown[],
    ][] = [
      [
        (dirtyDecayMs) => jemalloc({ dirtyDecayMs } as JemallocOptions),
        "options.dirtyDecayMs",
        "an integer from -1 to 2147483647",
        [-2, 0.5, NaN, Infinity, 2 ** 31],
      ],
      [
        (seed) => jemalloc({ seed }),
        "options.seed",
        "an integer from 0 to 4294967295",
        [-1, 0.5, NaN, 2 ** 32],
      ],
      [
        (purgeDelayMs) => mimalloc({ purgeDelayMs } as MimallocOptions),
        "options.purgeDelayMs",
        "an integer from -1 to 2147483647",
        [-2, 0.5, NaN, Infinity],
      ],
      [
        (bytesPerSecond) => tcmalloc({ bytesPerSecond } as TcmallocOptions),
        "options.bytesPerSecond",
        "a finite number of 0 or more",
        [-1, NaN, Infinity],
      ],
      [
        (gcThreshold) => pytorch({ gcThreshold } as PytorchOptions),
        "options.gcThreshold",
        "a number from 0 to less than 1",
        [-0.1, 1, NaN, Infinity],
      ],
    ];
    for (const [call, name, allowed, wrong] of cases) {
      const names = [`${name} must be ${allowed}, got `];
      for (const value of wrong) {
        refused(() => call(value as never), { error: RangeError, names: [...names, String(value)] }, name);
      }
      for (const value of NOT_NUMBERS) {
        if (value !== undefined) refused(() => call(value as never), { error: TypeError, names }, name);
      }
    }
    const flags: [(value: never) => Policy, string][] = [
      [
        (backgroundThread) => jemalloc({ backgroundThread }),
        "options.backgroundThread must be a boolean, got 1",
      ],
      [(subrelease) => tcmalloc({ subrelease }), "options.subrelease must be a boolean, got 1"],
      [(expandable) => pytorch({ expandable }), "options.expandable must be a boolean, got 1"],
    ];
    for (const [call, message] of flags)
      refused(() => call(1 as never), { error: TypeError, names: [message] }, message);
    const versions = 'options.version must be "2" or "3", got ';
    for (const [value, error] of [
      ["1", RangeError],
      [3, TypeError],
    ] as const) {
      const call = () => mimalloc({ version: value as never });
      refused(call, { error, names: [versions + JSON.stringify(value)] }, "version");
    }
  });
});
