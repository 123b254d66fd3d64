// Arguments of the parts of Go's scavengers: what is refused, in which words, and that a refused call has changed
// nothing; and the least and the largest that are taken.

import {
  BackgroundLoop,
  type BackgroundLoopOptions,
  GoHeap,
  type GoHeapOptions,
  type GoScavengeOptions,
  type IndexVersion,
  type PaceInput,
  PiController,
  type PiControllerOptions,
  pace,
  ScavengeIndex,
} from "palloc/lab";
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE, visible } from "../../support/heaps.ts";
import { PAGES } from "../../support/naive.ts";
import { NOT_COUNTS, NOT_NUMBERS, NOT_OBJECTS, printed, refused } from "../../support/refusals.ts";
import { same } from "../../support/same.ts";
import type { Palloc, Subject } from "../../support/subject.ts";

const GO_VERSIONS = ["1.14", "1.15", "1.19", "1.21", "1.22"] as const;
const INDEX_VERSIONS: readonly IndexVersion[] = ["1.19", "1.21", "1.22"];
const CONTROLLER: PiControllerOptions = { kp: 1, ti: 1, tt: 1, min: 0, max: 1 };
const LOOP: BackgroundLoopOptions = { procs: 4, physPageSize: 4096 };
const AT: PaceInput = {
  lastHeapInUse: 2 ** 26,
  lastHeapGoal: 2 ** 26,
  heapGoal: 2 ** 26,
  heapInUse: 2 ** 27,
  heapFree: 2 ** 27,
  mappedReady: 2 ** 28,
  memoryLimit: null,
  physPageSize: 4096,
};

/** The call must refuse each value with TypeError, and name the argument and the value. */
function refusesTypes(name: string, call: (value: never) => unknown, values: readonly unknown[]): void {
  for (const value of values) {
    const names = [name, printed(value)];
    refused(() => call(value as never), { error: TypeError, names }, `${name} ${String(value)}`);
  }
}

/** The call must refuse each number with RangeError, and name the argument and the number. */
function refusesNumbers(name: string, call: (value: never) => unknown, values: readonly number[]): void {
  for (const value of values) {
    const names = [name, printed(value)];
    refused(() => call(value as never), { error: RangeError, names }, `${name} ${value}`);
  }
}

/** The call must refuse what is no object of options, and options that it does not know. */
function refusesOptions(name: string, call: (options: never) => unknown, right: object | undefined): void {
  refusesTypes(name, call, [...NOT_OBJECTS, [], () => {}]);
  if (!right) return;
  const names = [`${name}.colour`, "unknown"];
  refused(() => call({ ...right, colour: 1 } as never), { error: TypeError, names }, "an unknown option");
}

/** The parts that need no engine. */
export function partArguments(): void {
  describe("arguments of the scavenger's parts", () => {
    it("PiController refuses options that are no numbers", () => {
      refusesOptions("options", (options) => new PiController(options), CONTROLLER);
      refused(
        () => new PiController(undefined as never),
        { error: TypeError, names: ["options.kp"] },
        "none",
      );
      for (const name of ["kp", "ti", "tt", "min", "max"]) {
        const make = (value: never) => new PiController({ ...CONTROLLER, [name]: value });
        refusesTypes(`options.${name}`, make, NOT_NUMBERS);
      }
    });

    it("PiController.next refuses what is no number, and stays as it was", () => {
      const controller = new PiController(CONTROLLER);
      controller.next(0.25, 0.5, 1);
      const before = { ...controller };
      refusesTypes("input", (value) => controller.next(value, 0, 1), NOT_NUMBERS);
      refusesTypes("setpoint", (value) => controller.next(0, value, 1), NOT_NUMBERS);
      refusesTypes("period", (value) => controller.next(0, 0, value), NOT_NUMBERS);
      expect({ ...controller }).toEqual(before);
    });

    it("PiController forgets an error that has become too large, and goes on", () => {
      const controller = new PiController({ ...CONTROLLER, tt: Number.MIN_VALUE });
      expect(controller.next(-Number.MAX_VALUE, Number.MAX_VALUE, 1)).toEqual({ output: 0, ok: false });
      expect(controller).toMatchObject({ errIntegral: 0, inputOverflow: true, errOverflow: false });
      expect(controller.next(0, 2, Number.MAX_VALUE)).toEqual({ output: 0, ok: false });
      expect(controller).toMatchObject({ errIntegral: 0, inputOverflow: true, errOverflow: true });
      expect(controller.next(0, 0.5, 0)).toEqual({ output: 0.5, ok: true });
    });

    it("PiController without integral or reset time keeps no integral", () => {
      for (const off of [{ ti: 0 }, { tt: 0 }]) {
        const controller = new PiController({ ...CONTROLLER, ...off });
        for (let k = 0; k < 3; k++) expect(controller.next(0, 0.25, 1)).toEqual({ output: 0.25, ok: true });
        expect(controller.errIntegral).toBe(0);
      }
    });

    it("BackgroundLoop refuses wrong options", () => {
      refusesTypes("options", (options) => new BackgroundLoop(options), NOT_OBJECTS);
      refused(() => new BackgroundLoop({} as never), { error: TypeError, names: ["options.procs"] }, "none");
      const withProcs = (procs: never) => new BackgroundLoop({ ...LOOP, procs });
      refusesTypes("options.procs", withProcs, NOT_NUMBERS);
      refusesNumbers("options.procs", withProcs, [...NOT_COUNTS, 0, 2 ** 31, Infinity]);
      const withSize = (physPageSize: never) => new BackgroundLoop({ ...LOOP, physPageSize });
      refusesTypes("options.physPageSize", withSize, NOT_NUMBERS);
      refusesNumbers("options.physPageSize", withSize, [...NOT_COUNTS, 0, 3, 4095, 2 ** 49, Infinity]);
      for (const physPageSize of [1, 2 ** 48]) new BackgroundLoop({ procs: 2 ** 31 - 1, physPageSize });
    });

    it("BackgroundLoop.procs can be set to 1 or more, and stays as it was if refused", () => {
      const loop = new BackgroundLoop(LOOP);
      const set = (procs: never) => {
        loop.procs = procs;
      };
      refusesTypes("procs", set, NOT_NUMBERS);
      refusesNumbers("procs", set, [...NOT_COUNTS, 0, 2 ** 31, Infinity]);
      expect(loop.procs).toBe(4);
      for (const procs of [1, 2 ** 31 - 1]) {
        loop.procs = procs;
        expect(loop.procs).toBe(procs);
      }
    });

    it("BackgroundLoop refuses what is no time and no bytes, and stays as it was", () => {
      const loop = new BackgroundLoop(LOOP);
      loop.sleep(1e6, () => 1e9);
      const state = () => [loop.ratio, loop.cooldown, { ...loop.controller }];
      const before = state();
      const run = (released: never, ns: never) =>
        loop.run(
          () => false,
          () => ({ released, ns }),
        );
      const one = 1 as never;
      refusesTypes("scavenge", (value) => run(value, one), NOT_NUMBERS);
      refusesNumbers("scavenge", (value) => run(value, one), [NaN, -1, -Infinity]);
      refusesTypes("scavenge", (value) => run(one, value), NOT_NUMBERS);
      refusesNumbers("scavenge", (value) => run(one, value), [NaN, -1, -Infinity]);
      refusesTypes("worked", (value) => loop.sleep(value, () => 1), NOT_NUMBERS);
      refusesTypes("worked", (value) => loop.sleepTime(value), NOT_NUMBERS);
      refusesNumbers("worked", (value) => loop.sleep(value, () => 1), [NaN, -1, -Infinity]);
      refusesTypes("slept", (value) => loop.sleep(1, () => value), NOT_NUMBERS);
      refusesNumbers("slept", (value) => loop.sleep(1, () => value), [NaN, -Infinity]);
      refused(
        () => loop.run("no" as never, () => ({ released: 0, ns: 0 })),
        { error: TypeError, names: ["shouldStop"] },
        "run",
      );
      refused(() => loop.run(() => false, 1 as never), { error: TypeError, names: ["scavenge"] }, "run");
      refused(() => loop.sleep(1, 1 as never), { error: TypeError, names: ["sleep"] }, "sleep");
      const error = new Error("the program has ended");
      const thrower = () => {
        throw error;
      };
      expect(() => loop.run(thrower, thrower)).toThrow(error);
      expect(() => loop.run(() => false, thrower)).toThrow(error);
      expect(() => loop.sleep(1, thrower)).toThrow(error);
      expect(state()).toEqual(before);
    });

    it("BackgroundLoop runs and sleeps for no time and for the longest", () => {
      const loop = new BackgroundLoop(LOOP);
      expect(
        loop.run(
          () => true,
          () => ({ released: 1, ns: 1 }),
        ),
      ).toEqual({ released: 0, worked: 0 });
      expect(
        loop.run(
          () => false,
          () => ({ released: 0, ns: 0 }),
        ),
      ).toEqual({ released: 0, worked: 0 });
      const asked: number[] = [];
      const sleep = (slept: number) => (ns: number) => {
        asked.push(ns);
        return slept;
      };
      loop.sleep(0, sleep(0));
      expect(asked).toEqual([1e9]);
      expect(loop.ratio).toBe(0.001);
      loop.sleep(Number.MAX_VALUE, sleep(Number.MAX_VALUE));
      expect([loop.ratio, loop.cooldown]).toEqual([0.001, 5e9]);
      loop.sleep(1e6, sleep(1e9));
      expect(loop.cooldown).toBe(5e9 - 1e9 - 1e6);
      loop.sleep(1e6, sleep(Infinity));
      expect(loop.cooldown).toBe(0);
    });

    it("pace refuses wrong numbers, whichever of them", () => {
      refusesOptions("at", (at) => pace(at, "1.22"), AT);
      refused(
        () => pace(undefined as never, "1.22"),
        { error: TypeError, names: ["at.lastHeapInUse"] },
        "none",
      );
      for (const name of Object.keys(AT)) {
        const call = (value: never) => pace({ ...AT, [name]: value }, "1.22");
        const types = NOT_NUMBERS.filter((value) => name !== "memoryLimit" || value !== null);
        refusesTypes(`at.${name}`, call, types);
        refusesNumbers(`at.${name}`, call, [NaN, -1, -0.5, -Infinity]);
      }
      for (const name of ["lastHeapInUse", "heapInUse", "heapFree", "mappedReady", "physPageSize"]) {
        refusesNumbers(`at.${name}`, (value) => pace({ ...AT, [name]: value }, "1.22"), [Infinity]);
      }
      refusesNumbers("at.physPageSize", (physPageSize) => pace({ ...AT, physPageSize }, "1.22"), [
        0,
        3,
        2 ** 49,
      ]);
      refusesVersions("version", (version) => pace(AT, version), GO_VERSIONS);
    });

    it("pace has goals for no memory, for the most, and for goals without end", () => {
      const none = { gcPercentGoal: null, memoryLimitGoal: null };
      const zeros = Object.fromEntries(Object.keys(AT).map((name) => [name, 0])) as unknown as PaceInput;
      expect(pace({ ...zeros, physPageSize: 4096 }, "1.22")).toEqual(none);
      const most = Object.fromEntries(Object.keys(AT).map((name) => [name, Number.MAX_VALUE]));
      expect(pace({ ...(most as unknown as PaceInput), physPageSize: 2 ** 48 }, "1.22")).toEqual({
        gcPercentGoal: null,
        memoryLimitGoal: Number.MAX_VALUE * 0.95,
      });
      expect(pace(AT, "1.22").gcPercentGoal).toBe(73_822_208);
      const bytes = { ...AT, lastHeapInUse: 15, physPageSize: 1 };
      expect(pace(bytes, "1.22").gcPercentGoal).toBe(16);
      expect(pace({ ...AT, lastHeapGoal: Infinity, heapGoal: Infinity }, "1.22").gcPercentGoal).toBe(
        73_822_208,
      );
      expect(pace({ ...AT, heapGoal: Infinity, memoryLimit: Infinity }, "1.22")).toEqual(none);
      expect(pace({ ...AT, heapGoal: Infinity, lastHeapInUse: 0 }, "1.22").gcPercentGoal).toBe(0);
      expect(pace({ ...AT, lastHeapGoal: Infinity }, "1.22").gcPercentGoal).toBe(0);
    });
  });
}

/** The call must refuse all versions but these. */
function refusesVersions(name: string, call: (version: never) => unknown, versions: readonly string[]): void {
  refusesTypes(name, call, [...NOT_OBJECTS.filter((value) => typeof value !== "string"), undefined, 1.22]);
  for (const version of ["", "1.2", "1.20", "1.22.12", "go1.22", "1.27"]) {
    const names = [name, printed(version), ...versions];
    refused(() => call(version as never), { error: RangeError, names }, `${name} ${version}`);
  }
}

/** The parts that lie in an engine's memory. */
export function argumentsSuite({ label, palloc }: Subject): void {
  describe(`arguments of the scavenger's index (${label})`, () => indexArguments(palloc));
  describe(`arguments of heaps with a scavenger (${label})`, () => heapArguments(palloc));
}

function indexArguments({ PageAlloc }: Palloc): void {
  it("a ScavengeIndex is refused on no engine, of no version, with no chunks", () => {
    refusesTypes("engine", (engine) => new ScavengeIndex(engine, "1.22", 1), [
      ...NOT_OBJECTS,
      undefined,
      {},
      Map,
    ]);
    refusesVersions("version", (version) => new ScavengeIndex(PageAlloc, version, 1), INDEX_VERSIONS);
    for (const version of ["1.14", "1.15"]) {
      const names = ["version", version, "1.19"];
      refused(() => new ScavengeIndex(PageAlloc, version as never, 1), { error: RangeError, names }, version);
    }
    const make = (chunks: never) => new ScavengeIndex(PageAlloc, "1.22", chunks);
    refusesTypes("chunks", make, NOT_NUMBERS);
    refusesNumbers("chunks", make, [...NOT_COUNTS, 0, 2 ** 18 + 1, Infinity]);
  });

  it.each(INDEX_VERSIONS)("a call that an index of %s refuses changes nothing", (version) => {
    const index = new ScavengeIndex(PageAlloc, version, 3);
    index.alloc(0, 3 * PAGES);
    index.free(PAGES + 100, 50);
    index.nextGen();
    index.find();
    const before = index.state();
    for (const call of ["alloc", "free"] as const) {
      refusesTypes("page", (page) => index[call](page, 1), NOT_NUMBERS);
      refusesNumbers("page", (page) => index[call](page, 1), [...NOT_COUNTS, 3 * PAGES, Infinity]);
      refusesTypes("npages", (npages) => index[call](5, npages), NOT_NUMBERS);
      refusesNumbers("npages", (npages) => index[call](5, npages), [
        ...NOT_COUNTS,
        0,
        3 * PAGES - 4,
        Infinity,
      ]);
    }
    refusesTypes("chunk", (chunk) => index.setEmpty(chunk), NOT_NUMBERS);
    refusesNumbers("chunk", (chunk) => index.setEmpty(chunk), [...NOT_COUNTS, 3, Infinity]);
    refusesTypes("force", (force) => index.find(force), [null, 0, 1, "true", {}]);
    same(index.state(), before, "state");
  });

  it.each(["1.21", "1.22"] as const)(
    "an index of %s refuses to count pages twice, in any chunk",
    (version) => {
      const index = new ScavengeIndex(PageAlloc, version, 3);
      index.alloc(2 * PAGES, 10);
      const before = index.state();
      const taken = {
        error: RangeError,
        names: ["npages from page 0 on", "chunk 2", "free", "10 of its 512"],
      };
      refused(() => index.alloc(0, 3 * PAGES), taken, "alloc");
      const free = { error: RangeError, names: [`npages from page ${2 * PAGES} on`, "chunk 2", "in use"] };
      refused(() => index.free(2 * PAGES, 11), free, "free");
      refused(() => index.free(0, 1), { error: RangeError, names: ["chunk 0", "0 of its 512"] }, "free");
      same(index.state(), before, "state");
      index.alloc(2 * PAGES + 10, PAGES - 10);
      index.free(2 * PAGES, PAGES);
      expect(index.find(true)).toEqual({ chunk: 2, page: PAGES - 1 });
    },
  );

  it.each(INDEX_VERSIONS)("an index of %s takes the most chunks, and the last page", (version) => {
    const index = new ScavengeIndex(PageAlloc, version, 2 ** 18);
    index.alloc(0, 2 ** 27);
    index.free(2 ** 27 - 1, 1);
    expect(index.find(true)).toEqual({ chunk: 2 ** 18 - 1, page: PAGES - 1 });
    index.setEmpty(2 ** 18 - 1);
    expect(index.find(true)).toBeNull();
    index.free(0, 2 ** 27 - 1);
    expect(index.find(true)).toEqual({
      chunk: 2 ** 18 - 1,
      page: PAGES - 1,
    });
  });

  it.each(INDEX_VERSIONS)("two indexes of %s are apart, and a second search finds the same", (version) => {
    const [one, two] = [1, 1].map((chunks) => new ScavengeIndex(PageAlloc, version, chunks));
    one.alloc(0, 9);
    one.free(3, 4);
    for (let k = 0; k < 2; k++) {
      expect(one.find(true)).toEqual({ chunk: 0, page: 6 });
      expect(two.find(true)).toBeNull();
    }
  });
}

function heapArguments({ PageAlloc }: Palloc): void {
  it("a GoHeap is refused on no engine, of no version, with wrong sizes", () => {
    refusesTypes("engine", (engine) => new GoHeap(engine, { version: "1.22" }), [
      ...NOT_OBJECTS,
      undefined,
      {},
      Map,
    ]);
    refusesOptions("options", (options) => new GoHeap(PageAlloc, options), { version: "1.22" });
    refused(
      () => new GoHeap(PageAlloc, undefined as never),
      { error: TypeError, names: ["options.version"] },
      "none",
    );
    refusesVersions("options.version", (version) => new GoHeap(PageAlloc, { version }), GO_VERSIONS);
    for (const name of ["physPageSize", "physHugePageSize"]) {
      const make = (value: never) =>
        new GoHeap(PageAlloc, { version: "1.22", [name]: value } as GoHeapOptions);
      const types = NOT_NUMBERS.filter((value) => value !== undefined);
      refusesTypes(`options.${name}`, make, types);
      refusesNumbers(`options.${name}`, make, [...NOT_COUNTS.filter((value) => value < 2 ** 53), 3, 5000]);
    }
  });

  it.each(GO_VERSIONS)("GoHeap.scavenge of %s refuses wrong arguments, and releases nothing", (version) => {
    const go = freedHeap(PageAlloc, version);
    const before = visible(go.heap);
    refusesTypes("nbytes", (nbytes) => go.scavenge(nbytes), NOT_NUMBERS);
    refusesNumbers("nbytes", (nbytes) => go.scavenge(nbytes), NOT_COUNTS);
    refusesOptions("options", (options) => go.scavenge(1, options), {});
    const scavengeWith = (options: object) => go.scavenge(1, options as GoScavengeOptions);
    refusesTypes("options.force", (force) => scavengeWith({ force }), [null, 0, 1, "true", {}]);
    refusesTypes("options.onRelease", (onRelease) => scavengeWith({ onRelease }), [null, 0, true, "x", {}]);
    expect(visible(go.heap)).toEqual(before);
    expect(go.scavenge(0)).toBe(0);
    expect(visible(go.heap)).toEqual(before);
  });

  it.each(GO_VERSIONS)("GoHeap.scavenge of %s releases all, and nothing the second time", (version) => {
    for (const nbytes of [Number.MAX_SAFE_INTEGER, Infinity]) {
      const go = freedHeap(PageAlloc, version);
      const runs: [number, number][] = [];
      const onRelease = (...run: [number, number]) => runs.push(run);
      expect(go.scavenge(nbytes, { force: true, onRelease })).toBe(4 * CHUNK);
      expect(runs.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(4 * CHUNK);
      expect(runs.every(([base], i) => i === 0 || base < runs[i - 1][0])).toBe(true);
      expect(go.scavenge(nbytes, { force: true, onRelease })).toBe(0);
      go.nextGen();
      go.nextGen();
      expect(go.scavenge(nbytes)).toBe(0);
      go.heap.check();
    }
  });

  it.each(GO_VERSIONS)("an empty GoHeap of %s has nothing to release", (version) => {
    const go = new GoHeap(PageAlloc, { version });
    expect(go.heap).toBeInstanceOf(PageAlloc);
    for (let k = 0; k < 2; k++) {
      expect(go.scavenge(Infinity, { force: true })).toBe(0);
      go.nextGen();
    }
  });

  it.each(GO_VERSIONS)("GoHeaps of %s are apart", (version) => {
    const [one, two] = [freedHeap(PageAlloc, version), freedHeap(PageAlloc, version)];
    const before = visible(two.heap);
    expect(one.scavenge(Infinity, { force: true })).toBe(4 * CHUNK);
    expect(visible(two.heap)).toEqual(before);
    expect(two.scavenge(Infinity, { force: true })).toBe(4 * CHUNK);
  });

  it.each(GO_VERSIONS)("GoHeap of %s says when its heap was disposed of", (version) => {
    const go = freedHeap(PageAlloc, version);
    go.heap.dispose();
    refused(() => go.scavenge(PAGE), { error: "ERR_DISPOSED", names: [] }, "scavenge");
    refused(() => go.nextGen(), { error: "ERR_DISPOSED", names: [] }, "nextGen");
  });

  it.each(GO_VERSIONS)(
    "a GoHeap of %s leaves alone what is unmapped, and sees what is mapped again",
    (version) => {
      const go = freedHeap(PageAlloc, version);
      const { heap } = go;
      heap.unmap(2 * CHUNK, CHUNK);
      const runs: [number, number][] = [];
      expect(go.scavenge(Infinity, { force: true, onRelease: (...run) => runs.push(run) })).toBe(3 * CHUNK);
      expect(runs.filter(([base]) => Math.floor(base / CHUNK) === 2)).toEqual([]);
      heap.grow(2 * CHUNK, CHUNK);
      heap.allocRange(2 * CHUNK, PAGES);
      heap.free(2 * CHUNK, PAGES);
      go.nextGen();
      expect(go.scavenge(Infinity, { force: true })).toBe(CHUNK);
      heap.check();
    },
  );

  it("a GoHeap of 1.15 looks at pages that were mapped again in the next generation", () => {
    const go = freedHeap(PageAlloc, "1.15");
    const { heap } = go;
    heap.unmap(2 * CHUNK, CHUNK);
    heap.grow(2 * CHUNK, CHUNK);
    heap.allocRange(2 * CHUNK, PAGES);
    heap.free(2 * CHUNK, PAGES);
    expect(go.scavenge(Infinity)).toBe(3 * CHUNK);
    expect(go.scavenge(Infinity)).toBe(0);
    go.nextGen();
    expect(go.scavenge(Infinity)).toBe(CHUNK);
  });

  it("a GoHeap of 1.14 releases as the heap's own scavenger, from the top again after a cycle", () => {
    const go = freedHeap(PageAlloc, "1.14");
    const own = freedHeap(PageAlloc, "1.14").heap;
    const byRuns = freedHeap(PageAlloc, "1.14").heap;
    const run = (nbytes: number) => {
      const runs: [number, number][] = [];
      const released = go.scavenge(nbytes, { onRelease: (...each) => runs.push(each) });
      expect(released).toBe(own.scavenge(nbytes));
      for (const [base, bytes] of runs) expect(byRuns.scavengeRange(base, bytes / PAGE)).toBe(bytes);
      expect(runs.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(released);
      expect(go.heap.snapshot()).toEqual(own.snapshot());
      return released;
    };
    expect(run(PAGE)).toBeGreaterThan(0);
    expect(run(3 * 2 ** 20)).toBeGreaterThan(0);
    for (const heap of [go.heap, own, byRuns]) {
      heap.allocRange(4 * CHUNK, PAGES);
      heap.free(4 * CHUNK, PAGES);
    }
    run(Infinity);
    go.nextGen();
    own.resetScavengeAddr();
    expect(run(Infinity)).toBe(CHUNK);
  });
}

/** A heap of chunks 1 to 4, all of which was in use in the cycle before and was then freed. */
function freedHeap(engine: Palloc["PageAlloc"], version: GoHeapOptions["version"]): GoHeap {
  const go = new GoHeap(engine, { version });
  go.heap.grow(CHUNK, 4 * CHUNK);
  const base = go.heap.alloc(4 * PAGES);
  go.heap.free(base, 4 * PAGES);
  go.nextGen();
  return go;
}
