// `simulate`: the account that it keeps, its clock, its modes, and what a policy sees and does.

import {
  all,
  COSTS,
  clairvoyant,
  go,
  goal,
  none,
  type Policy,
  type PolicyHeap,
  readScavengeLog,
  recorded,
  type SimulateOptions,
  simulate,
} from "palloc/lab";
import type { PageTrace } from "palloc/trace";
import { beforeAll, describe, expect, it } from "vitest";
import { loadFixture } from "../support/fixtures.ts";
import { type Change, naiveAccount } from "../support/naive-account.ts";
import { Random } from "../support/random.ts";
import type { Subject } from "../support/subject.ts";
import { ALLOC, type Event, EXISTS, eventsOf, FREE, GROW, SCAVENGE, UNMAP } from "../support/trace-events.ts";

const PAGE = 8192;
const CHUNK = 512 * PAGE;
const BASE = 0xc000 * CHUNK;
const SIZES = { pageSize: PAGE, physPageSize: 4096, physHugePageSize: 2 ** 21 };
const LOGGED = [
  ["phases", 4229],
  ["types-gogc50-limit60", 796],
] as const;

const at = (page: number) => BASE + page * PAGE;

/** A trace of a program without Ps that allocates and frees at random, as first fit places it. */
function randomTrace(seed: number, length: number): PageTrace {
  const random = new Random(seed);
  const inUse = new Set<number>();
  const live: Array<[page: number, npages: number]> = [];
  const events: Event[] = [];
  while (events.length < length) {
    if (live.length > 0 && random.below(100) < (events.length < length / 2 ? 40 : 55)) {
      const [[page, npages]] = live.splice(random.below(live.length), 1);
      for (let i = 0; i < npages; i++) inUse.delete(page + i);
      events.push([FREE, at(page), npages]);
      continue;
    }
    const npages = random.oneIn(20) ? random.between(100, 300) : random.between(1, 12);
    let page = 0;
    for (let i = 0; i < npages; i++) {
      if (!inUse.has(page + i)) continue;
      page += i + 1;
      i = -1;
    }
    for (let i = 0; i < npages; i++) inUse.add(page + i);
    live.push([page, npages]);
    events.push([ALLOC, at(page), npages]);
  }
  const trace = eventsOf(...events);
  let time = 1e9;
  return {
    ...trace,
    time: trace.time.map(() => (time += random.oneIn(10) ? random.below(1e9) : random.below(5000))),
  };
}

/** A policy that acts at random: at the events, and at times between them. */
function randomPolicy(seed: number): Policy {
  return {
    name: "random",
    start(heap) {
      const random = new Random(seed);
      const release = () => {
        const nbytes = random.below(300) * PAGE;
        if (random.oneIn(2)) heap.releaseDown(random.oneIn(4) ? Infinity : at(random.below(2000)), nbytes);
        else heap.release(at(random.below(2000)), nbytes);
      };
      heap.onFree(() => {
        if (random.oneIn(6)) release();
      });
      const look = () => {
        release();
        heap.wakeAt(heap.now + random.below(2e8), look);
      };
      heap.wakeAt(heap.now, look);
    },
  };
}

/** Runs a policy, and returns the report and all changes of pages, in order. `see` is called after each event. */
function watch(
  { palloc: { PageAlloc } }: Subject,
  trace: PageTrace,
  options: SimulateOptions,
  see: (heap: PolicyHeap, change: Change) => void = () => {},
) {
  const changes: Change[] = [];
  const { policy } = options;
  const report = simulate(PageAlloc, trace, {
    ...options,
    policy: {
      name: policy.name,
      start(heap) {
        let grown = 0;
        const noteGrowth = () => {
          const npages = heap.heapBytes / PAGE - grown;
          if (npages > 0) changes.push({ kind: "grow", time: heap.now, page: BASE / PAGE + grown, npages });
          grown += npages;
        };
        heap.onAlloc((base, nbytes) => {
          noteGrowth();
          const change: Change = { kind: "alloc", time: heap.now, page: base / PAGE, npages: nbytes / PAGE };
          changes.push(change);
          see(heap, change);
        });
        heap.onFree((base, nbytes) => {
          const change: Change = { kind: "free", time: heap.now, page: base / PAGE, npages: nbytes / PAGE };
          changes.push(change);
          see(heap, change);
        });
        policy.start(heap);
      },
    },
    onRelease(base, nbytes, time) {
      changes.push({ kind: "release", time, page: base / PAGE, npages: nbytes / PAGE });
      options.onRelease?.(base, nbytes, time);
    },
  });
  return { report, changes };
}

/** Without what depends on the machine. */
function facts<Report extends { elapsedMs: number; eventsPerSecond: number }>(report: Report) {
  return { ...report, elapsedMs: 0, eventsPerSecond: 0 };
}

export function labSimulateSuite(subject: Subject): void {
  const { PageAlloc } = subject.palloc;

  describe("simulating a policy", () => {
    describe("the account", () => {
      const sizes = [
        SIZES,
        { ...SIZES, physPageSize: 65536 },
        { ...SIZES, physPageSize: 16384, physHugePageSize: 2 ** 20 },
      ];
      it.each(sizes)("is that of a naive model: %o", (given) => {
        for (let seed = 1; seed <= 3; seed++) {
          const trace = randomTrace(seed, 400);
          const { report, changes } = watch(subject, trace, {
            policy: randomPolicy(seed),
            physPageSize: given.physPageSize,
            physHugePageSize: given.physHugePageSize,
          });
          const naive = naiveAccount(changes, trace.time[0], trace.time[399], given);
          expect(report.releaseCalls).toBeGreaterThan(10);
          expect(report.refaultedBytes).toBeGreaterThan(0);
          for (const [name, value] of Object.entries(naive)) {
            const got = report[name as keyof typeof naive];
            if (typeof value === "number") expect(got, name).toBeCloseTo(value, 3);
            else for (const size of Object.keys(value as object)) expect(got, name).toHaveProperty(size);
            if (typeof value === "object") {
              for (const [size, bytes] of Object.entries(value)) {
                expect(report.trappedMeanBytes[Number(size)], `trapped at ${size}`).toBeCloseTo(bytes, 3);
              }
            }
          }
        }
      });

      it("adds up after every event", () => {
        const trace = randomTrace(7, 600);
        let released = 0;
        let first = 0;
        let refaulted = 0;
        let events = 0;
        const touched = new Set<number>();
        watch(
          subject,
          trace,
          {
            policy: randomPolicy(7),
            onRelease: (_, nbytes) => {
              released += nbytes;
            },
          },
          (heap, change) => {
            events++;
            if (change.kind === "alloc") {
              for (let page = change.page; page < change.page + change.npages; page++) {
                if (!touched.has(page)) first += PAGE;
                touched.add(page);
              }
            }
            expect(heap.inUseBytes + heap.freeBytes + heap.releasedBytes).toBe(heap.heapBytes);
            refaulted = heap.heapBytes - first + released - heap.releasedBytes;
            expect(refaulted).toBeGreaterThanOrEqual(0);
          },
        );
        expect(events).toBe(600);
        expect(refaulted).toBeGreaterThan(0);
      });

      it("does not take unmapping for a release", () => {
        const events: Event[] = [
          [ALLOC, at(0), 256],
          [FREE, at(128), 128],
          [UNMAP, at(128), 384],
          [GROW, at(128), 384],
          [ALLOC, at(128), 128],
        ];
        for (const physPageSize of [4096, 16384, 2 ** 20]) {
          const options = { policy: none(), physPageSize };
          expect(simulate(PageAlloc, eventsOf(...events), options)).toMatchObject({
            hugePagesBroken: 0,
            firstFaults: (384 * PAGE) / physPageSize,
            refaults: 0,
            refaultedBytes: 0,
          });
        }
      });

      it("counts what the policy's releases cost", () => {
        const trace = randomTrace(3, 300);
        const costs = { name: "mine", perCall: 100, perByte: 2, perFault: 7 };
        const report = simulate(PageAlloc, trace, { policy: all(), costs });
        const { releaseCalls, releasedBytes, faults } = report;
        expect(report.costNs).toBe(100 * releaseCalls + 2 * releasedBytes + 7 * faults);
        expect(report.costName).toBe("mine");
        expect(simulate(PageAlloc, trace, { policy: all() }).costNs).toBeCloseTo(
          (releasedBytes / 4096) * 10_000,
          3,
        );
        expect(COSTS.measured.perCall + 65536 * COSTS.measured.perByte).toBeCloseTo(110_000, 6);
      });
    });

    describe("recorded mode", () => {
      it.each(LOGGED)("predicts each scavenge of %s, its address and length", async (name, count) => {
        const trace = await subject.trace.readPageTrace(await loadFixture(`traces/logged/${name}.pt.gz`));
        const log = await readScavengeLog(await loadFixture(`traces/logged/${name}.events.ndjson.gz`));
        const wanted: string[] = [];
        trace.kind.forEach((kind, i) => {
          if (kind === SCAVENGE) wanted.push(`${trace.base[i]}+${trace.npages[i] * PAGE}`);
        });
        const got: string[] = [];
        const report = simulate(PageAlloc, trace, {
          policy: go({ version: "1.22" }),
          log,
          mode: "recorded",
          onRelease: (base, nbytes) => got.push(`${base}+${nbytes}`),
        });
        expect(wanted.length).toBe(count);
        expect(got).toEqual(wanted);
        expect(report).toMatchObject({ mode: "recorded", releaseCalls: count, firstMismatch: null });
      });

      it("needs a log, and the policy go", async () => {
        const trace = randomTrace(1, 10);
        const simulated = (options: SimulateOptions) => () => simulate(PageAlloc, trace, options);
        expect(simulated({ policy: go(), mode: "recorded" })).toThrow(
          new TypeError('options.mode "recorded" needs options.log, by readScavengeLog'),
        );
        const log = await readScavengeLog(new TextEncoder().encode('{"k":"gen","t":5}\n'));
        expect(simulated({ policy: go(), mode: "log-driven" })).toThrow(
          new TypeError(
            'options.mode "log-driven" needs options.log, or a trace that tells its cycles as gc',
          ),
        );
        expect(simulated({ policy: none(), log, mode: "recorded" })).toThrow(
          new TypeError('options.mode "recorded" is for the policy go, not for none'),
        );
      });
    });

    describe("with the collector's cycles", () => {
      let trace: PageTrace;
      let log: Awaited<ReturnType<typeof readScavengeLog>>;
      beforeAll(async () => {
        trace = await subject.trace.readPageTrace(
          await loadFixture("traces/logged/types-gogc50-limit60.pt.gz"),
        );
        log = await readScavengeLog(await loadFixture("traces/logged/types-gogc50-limit60.events.ndjson.gz"));
      });

      it("says where they are from", () => {
        const modeOf = (options: Partial<SimulateOptions>, given = trace) =>
          simulate(PageAlloc, given, { policy: none(), ...options }).mode;
        expect(modeOf({})).toBe("trace-only");
        expect(modeOf({ log })).toBe("log-driven");
        expect(modeOf({ log, mode: "trace-only" })).toBe("trace-only");
        expect(modeOf({}, { ...trace, gc: log.gc })).toBe("log-driven");
      });

      it("a log gives the same as the trace's own cycles", () => {
        const policy = () => go({ memoryLimit: 60 * 2 ** 20 });
        const byLog = simulate(PageAlloc, trace, { policy: policy(), log });
        const byTrace = simulate(PageAlloc, { ...trace, gc: log.gc }, { policy: policy() });
        expect(facts(byTrace)).toEqual(facts(byLog));
        expect(byLog.releaseCalls).toBeGreaterThan(100);
      });

      it("tells them at their time, with their numbers", () => {
        const seen: number[][] = [];
        simulate(PageAlloc, trace, {
          log,
          policy: {
            name: "listens",
            start(heap) {
              heap.onGc(({ time, heapGoal }) => seen.push([heap.now, time, heapGoal]));
            },
          },
        });
        const { time, heapGoal } = log.gc;
        expect(seen).toEqual(Array.from(time, (t, i) => [t, t, heapGoal[i]]));
      });

      it.each(["1.14", "1.15", "1.19", "1.21", "1.22"] as const)(
        "Go %s comes near what was recorded",
        (version) => {
          const options = { log, memoryLimit: 60 * 2 ** 20 };
          const model = simulate(PageAlloc, trace, { ...options, policy: go({ version }) });
          const real = simulate(PageAlloc, trace, { ...options, policy: recorded() });
          expect(Math.abs(model.retainedMeanBytes / real.retainedMeanBytes - 1)).toBeLessThan(0.02);
        },
      );

      it.each([
        ["no limit", Infinity],
        ["a limit", 2 ** 40],
      ])("growth that the trace tells by itself is scavenged for, with %s", async (_, memoryLimit) => {
        const cycle = (time: number) =>
          `{"k":"pace","t":${time},"heapMarked":10,"heapGoal":20}\n{"k":"swept","t":1e12}\n`;
        const paces = await readScavengeLog(new TextEncoder().encode(cycle(2500) + cycle(2600)));
        const events: Event[] = [
          [GROW, at(0), 512],
          [ALLOC, at(0), 256],
          [FREE, at(128), 128],
          [GROW, at(512), 20],
          [GROW, at(532), 10],
          [ALLOC, at(128), 1],
        ];
        const options = { policy: go(), log: paces, memoryLimit, physHugePageSize: 0 };
        const { releasedBytes } = simulate(PageAlloc, eventsOf(...events), options);
        expect(releasedBytes).toBe(30 * PAGE);
      });

      it("a limit of the policy wins over the simulation's", () => {
        const run = (memoryLimit: number | undefined, own: number | undefined) =>
          facts(simulate(PageAlloc, trace, { log, memoryLimit, policy: go({ memoryLimit: own }) }));
        const limited = run(2 ** 26, undefined);
        expect(limited.releasedBytes).toBeGreaterThan(0);
        expect({ ...run(2 ** 30, 2 ** 26), policy: "" }).toEqual({ ...limited, policy: "" });
        expect(run(undefined, undefined).releasedBytes).toBeLessThan(limited.releasedBytes);
        // Versions before 1.19 have none.
        const old = (memoryLimit?: number) =>
          facts(simulate(PageAlloc, trace, { log, policy: go({ version: "1.15", memoryLimit }) }));
        expect({ ...old(2 ** 24), policy: "" }).toEqual({ ...old(), policy: "" });
      });
    });

    it("the series has what was retained right after each event, not what was released by the next", () => {
      for (const second of [at(10), at(99)]) {
        const trace = eventsOf([ALLOC, BASE, 10], [ALLOC, second, 5], [FREE, BASE, 10], [ALLOC, at(200), 1]);
        trace.time.set([0, 1e9, 2e9, 9e9]);
        const { series } = simulate(PageAlloc, trace, { policy: goal({ ratio: 1 }), samples: 4 });
        expect(series.time).toEqual(trace.time);
        expect(Array.from(series.retained, (bytes) => bytes / PAGE)).toEqual([10, 15, 15, 6]);
      }
    });

    describe("the clock", () => {
      const trace: PageTrace = {
        ...eventsOf([ALLOC, BASE, 1], [ALLOC, at(1), 1], [FREE, BASE, 1], [FREE, at(1), 1]),
        time: Float64Array.of(100, 200, 200, 300),
      };

      /** What happens, in order, and when. */
      function happenings(start: (heap: PolicyHeap, note: (what: string) => void) => void): string[] {
        const seen: string[] = [];
        simulate(PageAlloc, trace, {
          policy: {
            name: "notes",
            start(heap) {
              const note = (what: string) => seen.push(`${heap.now} ${what}`);
              heap.onAlloc(() => note("alloc"));
              heap.onFree(() => note("free"));
              start(heap, note);
            },
          },
        });
        return seen;
      }

      it("calls after all events up to a time, before those after it, in the order of the requests", () => {
        const seen = happenings((heap, note) => {
          heap.wakeAt(250, () => note("c"));
          heap.wakeAt(200, () => note("a"));
          heap.wakeAt(200, () => note("b"));
          heap.wakeAt(300, () => note("at the end"));
          heap.wakeAt(300.5, () => note("never"));
        });
        const events = [
          "100 alloc",
          "200 alloc",
          "200 free",
          "200 a",
          "200 b",
          "250 c",
          "300 free",
          "300 at the end",
        ];
        expect(seen).toEqual(events);
      });

      it("a time that is past comes after the current event", () => {
        const seen = happenings((heap, note) => {
          note("start");
          heap.wakeAt(0, () => note("past"));
          heap.wakeAt(150, () => heap.wakeAt(-Infinity, () => note("past too")));
        });
        expect(seen.slice(0, 4)).toEqual(["100 start", "100 alloc", "100 past", "150 past too"]);
      });

      it("does not call what was called off", () => {
        const seen = happenings((heap, note) => {
          const callOff = heap.wakeAt(150, () => note("called off"));
          heap.wakeAt(120, callOff);
          heap.wakeAt(250, () => note("kept"));
        });
        expect(seen).toContain("250 kept");
        expect(seen).not.toContain("150 called off");
      });
    });

    describe("what a policy sees and does", () => {
      /** Ten pages in use, of which 2, 3, and 8 have been freed, each 100 ns after the one before. */
      const trace = eventsOf(
        ...Array.from({ length: 10 }, (_, i): Event => [ALLOC, at(i), 1]),
        [FREE, at(2), 1],
        [FREE, at(3), 1],
        [FREE, at(8), 1],
        [ALLOC, at(2), 1],
      );

      /** Has `look` look after the frees. */
      function afterFrees(look: (heap: PolicyHeap) => void, options: Partial<SimulateOptions> = {}): void {
        let frees = 0;
        let looks = 0;
        const policy: Policy = {
          name: "looks",
          start(heap) {
            heap.onFree(() => {
              if (++frees < 3) return;
              looks++;
              look(heap);
            });
          },
        };
        simulate(PageAlloc, trace, { ...options, policy });
        expect(looks).toBe(1);
      }

      it("free runs, with when they were freed", () => {
        afterFrees((heap) => {
          expect(heap.freeRuns()).toEqual([
            { base: at(2), nbytes: 2 * PAGE, freedAt: 11_000 },
            { base: at(8), nbytes: PAGE, freedAt: 12_000 },
          ]);
          heap.release(at(3), PAGE);
          expect(heap.freeRuns().map(({ base }) => base)).toEqual([at(2), at(8)]);
        });
      });

      it("free runs of whole pages of the system only", () => {
        afterFrees(
          (heap) => expect(heap.freeRuns()).toEqual([{ base: at(2), nbytes: 2 * PAGE, freedAt: 11_000 }]),
          {
            physPageSize: 2 * PAGE,
          },
        );
      });

      it("what is in huge pages", () => {
        afterFrees((heap) => {
          heap.release(at(8), PAGE);
          expect(heap.hugePages()).toEqual([
            { base: BASE, inUseBytes: 7 * PAGE, freeBytes: 2 * PAGE, releasedBytes: 247 * PAGE },
          ]);
        });
        afterFrees((heap) => expect(heap.hugePages()).toEqual([]), { physHugePageSize: 0 });
      });

      it("by how much the heap grows, whatever was unmapped before", () => {
        const grown: number[] = [];
        const policy = {
          name: "listens",
          start: (heap: PolicyHeap) => heap.onGrow((nbytes) => grown.push(nbytes / PAGE)),
        };
        const events: Event[] = [
          [GROW, at(0), 1024],
          [ALLOC, at(0), 1],
          [UNMAP, at(512), 512],
          [GROW, at(512), 256],
          [UNMAP, at(512), 256],
          [GROW, at(512), 100],
          [GROW, at(612), 50],
        ];
        simulate(PageAlloc, eventsOf(...events), { policy });
        expect(grown).toEqual([1024, 256, 100, 50]);
      });

      it("releases a range, and only what is free in it", () => {
        afterFrees((heap) => {
          expect(heap.release(0, Infinity)).toBe(3 * PAGE);
          expect(heap.release(0, Infinity)).toBe(0);
          expect([heap.inUseBytes, heap.freeBytes, heap.releasedBytes]).toEqual(
            [7, 0, 505].map((n) => n * PAGE),
          );
        });
        afterFrees((heap) => {
          expect(heap.release(at(3), 5 * PAGE)).toBe(PAGE);
          expect(heap.release(at(3) + 1, 6 * PAGE)).toBe(PAGE);
          expect(heap.release(at(2), 0)).toBe(0);
        });
      });

      it("releases downward, the highest first", () => {
        afterFrees((heap) => {
          expect(heap.releaseDown(Infinity, 1)).toBe(PAGE);
          expect(heap.freeRuns().map(({ base }) => base)).toEqual([at(2)]);
          expect(heap.releaseDown(at(3), Infinity)).toBe(PAGE);
          expect(heap.freeRuns().map(({ base }) => base)).toEqual([at(3)]);
          expect(heap.releaseDown(Infinity, 0)).toBe(0);
        });
      });

      it("refuses wrong arguments, and has then done nothing", () => {
        afterFrees((heap) => {
          expect(() => heap.release(-1, 5)).toThrow(
            new RangeError("base must be a number of bytes, 0 or more, got -1"),
          );
          expect(() => heap.releaseDown(Number.NaN, 5)).toThrow(RangeError);
          expect(() => heap.wakeAt(Number.NaN, () => {})).toThrow("time must be a number of ns, got NaN");
          expect(() => heap.onFree(3 as never)).toThrow(new TypeError("seen must be a function, got 3"));
          expect(heap.freeBytes).toBe(3 * PAGE);
        });
      });

      it("cannot release when the simulation has ended", () => {
        let kept: PolicyHeap | undefined;
        const policy = {
          name: "keeps",
          start(heap: PolicyHeap) {
            kept = heap;
          },
        };
        simulate(PageAlloc, trace, { policy });
        const disposed = expect.objectContaining({ code: "ERR_DISPOSED" });
        const calls: Array<(heap: PolicyHeap) => unknown> = [
          (heap) => heap.release(0, Infinity),
          (heap) => heap.releaseDown(Infinity, 1),
          (heap) => heap.freeRuns(),
        ];
        for (const call of calls) expect(() => call(kept as PolicyHeap)).toThrow(disposed);
      });

      it("throws, and that ends the simulation", () => {
        const policy = {
          name: "throws",
          start(heap: PolicyHeap) {
            heap.onFree(() => {
              throw new Error("mine");
            });
          },
        };
        expect(() => simulate(PageAlloc, trace, { policy })).toThrow("mine");
      });
    });

    describe("the simplest policies", () => {
      it("none retains all, all the least, and goal what it says", () => {
        const trace = randomTrace(5, 2000);
        const means = [none(), goal({ ratio: 2 }), goal({ ratio: 1.2 }), goal({ ratio: 1 }), all()].map(
          (policy) => simulate(PageAlloc, trace, { policy }).retainedMeanBytes,
        );
        expect(means).toEqual([...means].sort((a, b) => b - a));
        expect(new Set(means).size).toBe(5);
      });

      it("all leaves nothing free, with any page of the system", () => {
        for (const physPageSize of [4096, 16384, 65536]) {
          let looks = 0;
          const trace = randomTrace(6, 300);
          watch(subject, trace, {
            physPageSize,
            policy: {
              name: "all, looked at",
              start(heap) {
                all().start(heap);
                heap.onFree(() => {
                  looks++;
                  expect(heap.freeRuns()).toEqual([]);
                });
              },
            },
          });
          expect(looks).toBeGreaterThan(50);
        }
      });

      it.each([
        ["highest", [8]],
        ["lowest", [2]],
        ["oldest", [2]],
        ["largest", [2]],
      ] as const)("goal releases the %s first", (order, first) => {
        const trace = {
          ...eventsOf(
            ...Array.from({ length: 10 }, (_, i): Event => [ALLOC, at(i), 1]),
            [FREE, at(2), 2],
            [FREE, at(8), 1],
            [ALLOC, at(20), 1],
          ),
        };
        trace.time[12] = 1e9;
        const pages: number[] = [];
        const policy = goal({ ratio: 1, everyMs: 10, order });
        simulate(PageAlloc, trace, { policy, onRelease: (base) => pages.push((base - BASE) / PAGE) });
        expect(pages.slice(0, 1)).toEqual(first);
      });

      it("recorded releases what a replay does", async () => {
        const trace = await subject.trace.readPageTrace(await loadFixture("traces/go-compile-runtime.pt.gz"));
        const report = simulate(PageAlloc, trace, { policy: recorded() });
        const replayed = subject.trace.replay(PageAlloc, trace);
        expect(facts(report)).toMatchObject(facts(replayed));
        expect(report.releasedBytes).toBe(replayed.scavengedBytes);
      });

      it("none gives what a replay without scavenging gives", async () => {
        for (const name of ["go-compile-runtime", "go-compile-types2-2procs"]) {
          const trace = await subject.trace.readPageTrace(await loadFixture(`traces/${name}.pt.gz`));
          const report = simulate(PageAlloc, trace, { policy: none() });
          expect(facts(report)).toMatchObject(
            facts(subject.trace.replay(PageAlloc, trace, { scavenge: "none" })),
          );
        }
      });

      it("clairvoyant releases just what is not touched again too soon", () => {
        const trace = randomTrace(8, 1500);
        for (const [idleMs, physPageSize] of [
          [0, 4096],
          [50, 4096],
          [50, 65536],
          [1000, 16384],
        ]) {
          const allocs: Array<[time: number, first: number, end: number]> = [];
          const releases: typeof allocs = [];
          const policy = clairvoyant({ idleMs });
          const report = simulate(PageAlloc, trace, {
            physPageSize,
            policy: {
              ...policy,
              start(heap: PolicyHeap) {
                policy.start(heap);
                heap.onAlloc((base, nbytes) => allocs.push([heap.now, base, base + nbytes]));
              },
            } as Policy,
            onRelease: (base, nbytes, time) => releases.push([time, base, base + nbytes]),
          });
          expect(releases.length).toBeGreaterThan(10);
          for (const [time, first, end] of releases) {
            const soon = allocs.filter(
              ([at, from, to]) => at >= time && at < time + idleMs * 1e6 && from < end && to > first,
            );
            // At the very time of the release, an allocation may have come before it.
            expect(soon.filter(([at]) => at > time)).toEqual([]);
          }
          // Whatever else releases that much refaults more, or retains more.
          const most = simulate(PageAlloc, trace, { policy: all(), physPageSize });
          expect(report.refaultedBytes).toBeLessThanOrEqual(most.refaultedBytes);
          if (idleMs === 0) expect(report.retainedMeanBytes).toBeCloseTo(most.retainedMeanBytes, 3);
        }
      });

      it("clairvoyant refuses what it cannot see before", async () => {
        async function* blocks() {
          yield randomTrace(1, 10);
        }
        await expect(simulate(PageAlloc, blocks() as never, { policy: clairvoyant() })).rejects.toThrow(
          "options.policy clairvoyant:idleMs=1000 must see the trace before; read it whole, by readTrace",
        );
        expect(() => clairvoyant({ idleMs: -1 })).toThrow(
          "options.idleMs must be a number of ms, 0 or more, got -1",
        );
      });

      it("refuse wrong options", () => {
        expect(() => goal({ ratio: 0.5 })).toThrow(
          new RangeError("options.ratio must be a number of 1 or more, got 0.5"),
        );
        expect(() => goal({ everyMs: 0 })).toThrow(RangeError);
        expect(() => goal({ order: "any" as "highest" })).toThrow(
          '"highest", "lowest", "oldest" or "largest"',
        );
        expect(() => go({ version: "1.20" as "1.19" })).toThrow(
          new RangeError('options.version must be "1.14", "1.15", "1.19", "1.21", "1.22", got "1.20"'),
        );
        expect(() => go({ gogc: 0 })).toThrow("options.gogc must be a number of 1 or more, got 0");
        expect(() => go({ procs: 1.5 })).toThrow(RangeError);
      });
    });

    describe("in blocks", () => {
      /** A trace in blocks of so many events. */
      async function* blocksOf(trace: PageTrace, size: number): AsyncGenerator<PageTrace> {
        for (let from = 0; from < trace.length; from += size) {
          const to = Math.min(from + size, trace.length);
          const { time, proc, kind, base, npages } = trace;
          yield {
            length: to - from,
            time: time.slice(from, to),
            proc: proc.slice(from, to),
            kind: kind.slice(from, to),
            base: base.slice(from, to),
            npages: npages.slice(from, to),
          };
        }
      }

      it.each([1, 37, 10_000])("of %d events gives the same", async (size) => {
        const trace = randomTrace(9, 700);
        const policies = [
          () => randomPolicy(4),
          () => goal({ everyMs: 5 }),
          () => go(),
          () => go({ memoryLimit: 2 ** 23 }),
        ];
        for (const make of policies) {
          const whole = simulate(PageAlloc, trace, { policy: make(), samples: 0 });
          const parts = await simulate(PageAlloc, blocksOf(trace, size) as never, {
            policy: make(),
            samples: 0,
          });
          expect(facts(parts)).toEqual(facts(whole));
          expect(whole.policy === "none" || whole.releaseCalls).toBeGreaterThan(0);
        }
      });

      it("each cycle of a log is told once, also if the first block is empty", async () => {
        const log = await readScavengeLog(
          new TextEncoder().encode('{"k":"pace","t":1500000000,"heapMarked":10,"heapGoal":20}'),
        );
        async function* blocks() {
          yield eventsOf();
          yield eventsOf();
          yield* blocksOf(randomTrace(9, 700), 350);
        }
        let cycles = 0;
        const policy = { name: "counts", start: (heap: PolicyHeap) => heap.onGc(() => cycles++) };
        await simulate(PageAlloc, blocks() as never, { policy, log });
        expect(cycles).toBe(1);
      });

      it("stops by a signal", async () => {
        const stop = new AbortController();
        const policy = {
          name: "stops",
          start: (heap: PolicyHeap) => heap.onFree(() => stop.abort(new Error("enough"))),
        };
        const simulated = simulate(PageAlloc, blocksOf(randomTrace(9, 700), 50) as never, {
          policy,
          signal: stop.signal,
        });
        await expect(simulated).rejects.toThrow("enough");
      });
    });

    it.each(["1.19", "1.22"] as const)("leaves no memory behind, with Go %s", (version) => {
      // A sparse heap: an index has so much memory for the gap that it would soon be noticed.
      const far = 2 ** 40;
      const trace = eventsOf([EXISTS, BASE, 1], [EXISTS, BASE + far, 1], [FREE, BASE + far, 1]);
      const { memory } = PageAlloc.instance().engine;
      const sizes = Array.from({ length: 200 }, () => {
        simulate(PageAlloc, trace, { policy: go({ version }) });
        return memory.size;
      });
      expect(sizes[199]).toBe(sizes[1]);
    });

    it("refuses times that go back, and a log of another time", async () => {
      const trace = randomTrace(1, 10);
      trace.time[6] = trace.time[5] - 1;
      expect(() => simulate(PageAlloc, trace, { policy: none() })).toThrow(
        /^event 6, page 0x[0-9a-f]+: times must ascend/,
      );
      trace.time[6] = Number.NaN;
      expect(() => simulate(PageAlloc, trace, { policy: none() })).toThrow("times must ascend");
      const good = randomTrace(1, 10);
      const logAt = (time: number) => readScavengeLog(new TextEncoder().encode(`{"k":"gen","t":${time}}\n`));
      const policy = go();
      for (const time of [good.time[0] - 1, good.time[9] + 1]) {
        const log = await logAt(time);
        expect(() => simulate(PageAlloc, good, { policy, log, mode: "recorded" })).toThrow(
          /^options.log must be of this trace, whose times are [\d.]+ to [\d.]+ ns; those of its steps are /,
        );
      }
      for (const time of [good.time[0], good.time[9]]) {
        expect(simulate(PageAlloc, good, { policy, log: await logAt(time), mode: "recorded" }).events).toBe(
          10,
        );
      }
    });

    it("takes larger pages than the trace's", () => {
      const trace = randomTrace(2, 500);
      const report = simulate(PageAlloc, trace, { policy: all(), pageSize: 65536, physPageSize: 65536 });
      expect(report.retainedMeanBytes % 1).not.toBeNaN();
      expect(report.peakRetainedBytes % 65536).toBe(0);
      expect(report.releasedBytes).toBeGreaterThan(0);
    });

    it("refuses wrong arguments, and names them", () => {
      const trace = randomTrace(1, 10);
      const refusal = (options: object, engine: unknown = PageAlloc) => {
        try {
          simulate(engine as typeof PageAlloc, trace, options as SimulateOptions);
        } catch (error) {
          return String(error);
        }
        return undefined;
      };
      expect(refusal({})).toBe(
        "TypeError: options.policy must be an object with a name and a function start, got undefined",
      );
      expect(refusal({ policy: none(), costs: "free" })).toMatch(
        /^RangeError: options.costs must be "go", "measured"/,
      );
      expect(refusal({ policy: none(), costs: { name: "x", perCall: -1, perByte: 0, perFault: 0 } })).toBe(
        "RangeError: options.costs.perCall must be a number of ns, 0 or more, got -1",
      );
      expect(refusal({ policy: none(), mode: "guess" })).toMatch(
        /^RangeError: options.mode must be "recorded"/,
      );
      expect(refusal({ policy: none(), memoryLimit: 0 })).toBe(
        "RangeError: options.memoryLimit must be a number of bytes above 0, got 0",
      );
      expect(refusal({ policy: none(), onRelease: 1 })).toMatch(/options.onRelease must be a function/);
      expect(refusal({ policy: none(), log: {} })).toMatch(/options.log must be what readScavengeLog gives/);
      expect(refusal({ policy: none(), scavenge: "none" })).toMatch(/options.scavenge is unknown/);
      expect(refusal({ policy: none() }, class {})).toMatch(/engine must be a PageAlloc class/);
      expect(() => go().start({} as PolicyHeap)).toThrow("go can be the policy of a simulation only");
    });
  });

  describe("the log of a scavenger", () => {
    const read = (text: string) => readScavengeLog(new TextEncoder().encode(text));

    it("has its steps in the order of time", async () => {
      const log = await read(
        '{"k":"eager","t":1,"end":9,"want":8192,"released":0,"force":true,"growth":0,"scav":0}\n\n' +
          '{"k":"run","t":4,"end":5,"worked":7,"released":4096}\n{"k":"phase","name":"any"}\n{"k":"gen","t":2}',
      );
      expect(log.length).toBe(3);
      expect(log.steps).toEqual([
        { kind: "gen", time: 2 },
        { kind: "run", time: 4, worked: 7, released: 4096 },
        { kind: "eager", time: 9, want: 8192, force: true },
      ]);
    });

    it("has the collector's cycles", async () => {
      const pace = '{"k":"pace","t":3,"heapMarked":10,"heapGoal":20}\n';
      const { gc } = await read(
        `${pace}{"k":"swept","t":5}\n${pace.replace('"t":3', '"t":6').replace("20", "null")}`,
      );
      expect(gc).toEqual({
        length: 2,
        start: Float64Array.of(Number.NaN, Number.NaN),
        time: Float64Array.of(3, 6),
        sweepEnd: Float64Array.of(5, Number.NaN),
        heapLive: Float64Array.of(10, 10),
        heapGoal: Float64Array.of(20, Infinity),
      });
    });

    it("has them in the order of time, whatever that of the lines is", async () => {
      const pace = (time: number) => `{"k":"pace","t":${time},"heapMarked":10,"heapGoal":20}\n`;
      const swept = (time: number) => `{"k":"swept","t":${time}}\n`;
      const { gc } = await read(swept(1) + swept(8) + pace(6) + swept(5) + pace(3) + pace(9));
      expect([gc.time, gc.sweepEnd]).toEqual([Float64Array.of(3, 6, 9), Float64Array.of(5, 8, Number.NaN)]);
    });

    it("is refused where it is none, and the error names the byte", async () => {
      await expect(read('{"k":"gen","t":1}\n[]\n')).rejects.toThrow(
        "byte 18: expected a JSON object with the key k",
      );
      await expect(read('{"k":"gen"}\n')).rejects.toThrow("byte 0: expected t, a time in ns");
      await expect(read('{"k":"eager","end":1,"want":1,"force":1}')).rejects.toThrow(
        "expected force, true or false",
      );
      expect((await read("")).length).toBe(0);
    });
  });
}
