// What Go's own scavengers answered to seeded random input, line by line: test/fixtures/golden/scavenger.

import {
  BackgroundLoop,
  type GoVersion,
  type IndexVersion,
  type PaceInput,
  PiController,
  pace,
  ScavengeIndex,
} from "palloc/lab";
import { describe, it } from "vitest";
import { hexOf, hexOfWord } from "../../support/bitmaps.ts";
import { loadLines } from "../../support/fixtures.ts";
import { addressOf, bytesOf, GO_BASE, PAGE } from "../../support/go-heap.ts";
import { CHUNK } from "../../support/heaps.ts";
import { PAGES } from "../../support/naive.ts";
import { same } from "../../support/same.ts";
import {
  countCached,
  countFlushed,
  goScavenged,
  handScavenged,
  type Run,
  type Scavenged,
  type Sizes,
} from "../../support/scavenged.ts";
import type { PageCache, Subject } from "../../support/subject.ts";

/** A chunk of 1.21 and later. */
type Density = [inUse: number, lastInUse: number, gen: number, flags: number];
type GoldenCursor = [page: number, isMarked: boolean];
type Found = [chunk: number, page: number];

export type IndexOp =
  | ["alloc", page: number, npages: number]
  | ["free", page: number, npages: number]
  | ["nextGen"]
  | ["find", force: boolean, ...found: Found]
  | ["setEmpty", chunk: number];
type OldIndexOp =
  | ["mark", page: number, npages: number]
  | ["find", ...found: Found]
  | ["clear", chunk: number];
interface IndexState {
  chunks: Density[];
  bg: GoldenCursor;
  force: GoldenCursor;
  freeHWM: number;
  gen: number;
}
interface OldIndexState {
  chunks: number[];
  search: GoldenCursor;
}
/** The chunks of a heap's index are those in `keys`. */
type HeapIndex = (IndexState | OldIndexState) & { keys: number[] };

type HeapOp =
  | ["grow", chunk: number, chunks: number]
  | ["alloc", npages: number, page: number | null, scavenged: number]
  | ["free", page: number, npages: number]
  | ["allocToCache", base: number, cache: string, scav: string]
  | ["allocToCache", none: null]
  | ["flush", base: number, cache: string, scav: string]
  | ["nextGen" | "startGen"]
  | ["scavenge" | "scavengeForce", nbytes: number | "max", released: number, runs: Run[] | null];
interface GoldenHeap extends Sizes {
  ops: HeapOp[];
  final: Record<string, [alloc: string, scavenged: string]>;
  index?: HeapIndex;
}

type Doubles<Name extends string> = Record<Name, string>;
interface GoldenController extends Doubles<"kp" | "ti" | "tt" | "min" | "max"> {
  steps: [
    input: string,
    setpoint: string,
    period: string,
    output: string,
    ok: boolean,
    errIntegral: string,
    errOverflow: boolean,
    inputOverflow: boolean,
  ][];
}
interface LoopStep extends Doubles<"ratio" | "errIntegral"> {
  calls: [asked: number, released: number, ns: number][] | null;
  stopChecks: number;
  park?: true;
  sleep: number;
  slept: number;
  procs?: number;
  cooldown: number;
}
interface GoldenLoop {
  procs: number;
  physPageSize: number;
  released: number;
  steps: LoopStep[];
}
interface GoldenPace extends Omit<PaceInput, "memoryLimit"> {
  memoryLimit: number | "none";
  gcPercentGoal: number | "off";
  memoryLimitGoal: number | "off";
}

/** Files of golden/scavenger, by the version that made them. */
const load = <T>(version: string, name: string) =>
  loadLines<T>(`golden/scavenger/${version}/${name}.ndjson.gz`);

const bits = new DataView(new ArrayBuffer(8));
/** The double with these bits. */
function doubleOf(hex: string): number {
  bits.setBigUint64(0, BigInt(`0x${hex}`));
  return bits.getFloat64(0);
}

/** Throws unless both are the same double, to the bit of a zero's sign. */
function sameDouble(got: number, hex: string, what: string): void {
  if (!Object.is(got, doubleOf(hex))) throw new Error(`${what}: got ${got}, want ${doubleOf(hex)}`);
}

/** The parts that need no engine. */
export function goldenParts(): void {
  describe("Go's golden results for the scavenger", () => {
    it("PiController: outputs and integrals to the bit", async () => {
      const lines = await load<GoldenController>("1.22", "pi-controller");
      for (const [line, want] of lines.entries()) checkController(want, `line ${line}`);
      same(lines.length, 300, "lines");
    });

    it("BackgroundLoop: what it asks, how long it sleeps, and its ratio to the bit", async () => {
      const lines = await load<GoldenLoop>("1.22", "scavenger-loop");
      for (const [line, want] of lines.entries()) checkLoop(want, `line ${line}`);
      same(lines.length, 200, "lines");
    });

    it.each<[string, GoVersion[]]>([
      ["1.22/pace", ["1.22"]],
      ["1.19/pace-1.19-to-1.21", ["1.19", "1.21"]],
    ])("pace: the goals of %s", async (file, versions) => {
      const lines = await loadLines<GoldenPace>(`golden/scavenger/${file}.ndjson.gz`);
      for (const [line, { gcPercentGoal, memoryLimitGoal, memoryLimit, ...at }] of lines.entries()) {
        for (const version of versions) {
          const got = pace({ ...at, memoryLimit: goalOf(memoryLimit) }, version);
          same(got.gcPercentGoal, goalOf(gcPercentGoal), `line ${line} of ${version}: gcPercentGoal`);
          same(got.memoryLimitGoal, goalOf(memoryLimitGoal), `line ${line} of ${version}: memoryLimitGoal`);
        }
      }
      same(lines.length, 3000, "lines");
    });

    it("pace: versions before 1.19 have the same goals without a limit", async () => {
      const lines = await load<GoldenPace>("1.22", "pace");
      for (const [line, { gcPercentGoal, memoryLimitGoal, memoryLimit, ...at }] of lines.entries()) {
        for (const version of ["1.14", "1.15"] as const) {
          const got = pace({ ...at, memoryLimit: goalOf(memoryLimit) }, version);
          same(got, { gcPercentGoal: goalOf(gcPercentGoal), memoryLimitGoal: null }, `line ${line}`);
        }
      }
    });
  });
}

const goalOf = (goal: number | "off" | "none"): number | null => (typeof goal === "number" ? goal : null);

function checkController({ kp, ti, tt, min, max, steps }: GoldenController, what: string): void {
  const controller = new PiController({
    kp: doubleOf(kp),
    ti: doubleOf(ti),
    tt: doubleOf(tt),
    min: doubleOf(min),
    max: doubleOf(max),
  });
  for (const [k, [input, setpoint, period, output, ok, integral, ...overflows]] of steps.entries()) {
    const got = controller.next(doubleOf(input), doubleOf(setpoint), doubleOf(period));
    sameDouble(got.output, output, `${what} step ${k}: output`);
    same(got.ok, ok, `${what} step ${k}: ok`);
    sameDouble(controller.errIntegral, integral, `${what} step ${k}: errIntegral`);
    const { errOverflow, inputOverflow } = controller;
    same([errOverflow, inputOverflow], overflows, `${what} step ${k}: errOverflow, inputOverflow`);
  }
}

function checkLoop({ procs, physPageSize, released, steps }: GoldenLoop, what: string): void {
  const loop = new BackgroundLoop({ procs, physPageSize });
  let total = 0;
  for (const [k, step] of steps.entries()) total += checkStep(loop, step, `${what} step ${k}`);
  same(total, released, `${what}: released`);
}

/** Makes a run and the sleep after it. Returns the bytes that were released. */
function checkStep(loop: BackgroundLoop, step: LoopStep, what: string): number {
  const calls = step.calls ?? [];
  // The scavenger is asked to stop at the last of the checks if no call came after it.
  const stopAt = step.stopChecks > calls.length ? step.stopChecks : Infinity;
  let checks = 0;
  let made = 0;
  const run = loop.run(
    () => ++checks === stopAt,
    (nbytes) => {
      const [asked, released, ns] = calls[made++] ?? [];
      same(nbytes, asked, `${what} call ${made - 1}: bytes`);
      return { released, ns };
    },
  );
  same([made, checks], [calls.length, step.stopChecks], `${what}: calls and checks`);
  same(
    run.released,
    calls.reduce((sum, [, released]) => sum + released, 0),
    `${what}: released`,
  );
  const checkState = () => {
    sameDouble(loop.ratio, step.ratio, `${what}: ratio`);
    sameDouble(loop.controller.errIntegral, step.errIntegral, `${what}: errIntegral`);
    same(loop.cooldown, step.cooldown, `${what}: cooldown`);
  };
  if (step.park) {
    same(run.released, 0, `${what}: released before parking`);
    checkState();
    return 0;
  }
  loop.sleep(run.worked, (ns) => {
    same(ns, step.sleep, `${what}: asked to sleep`);
    checkState();
    if (step.procs) loop.procs = step.procs;
    return step.slept;
  });
  return run.released;
}

/** The parts that lie in an engine's memory. */
export function goldenSuite({ label, palloc }: Subject): void {
  describe(`Go's golden results for the scavenger (${label})`, () => {
    it.each(["1.21", "1.22"] as const)("ScavengeIndex %s: what it finds, and its state", async (version) => {
      const lines = await load<{ chunks: number; ops: IndexOp[]; final: IndexState }>(
        "1.22",
        "scavenge-index",
      );
      for (const [line, { chunks, ops, final }] of lines.entries()) {
        const index = new ScavengeIndex(palloc.PageAlloc, version, chunks);
        for (const [k, op] of ops.entries()) makeIndexCall(index, op, `line ${line} op ${k} ${op}`);
        sameState(index, final, `line ${line}`);
      }
      same(lines.length, 700, "lines");
    });

    it("ScavengeIndex 1.19: what it finds, and its state", async () => {
      const lines = await load<{ chunks: number; ops: OldIndexOp[]; final: OldIndexState }>(
        "1.19",
        "scavenge-index",
      );
      for (const [line, { chunks, ops, final }] of lines.entries()) {
        const index = new ScavengeIndex(palloc.PageAlloc, "1.19", chunks);
        for (const [k, op] of ops.entries()) makeOldIndexCall(index, op, `line ${line} op ${k} ${op}`);
        sameState(index, final, `line ${line}`);
      }
      same(lines.length, 500, "lines");
    });

    it.each<[GoVersion, file: string]>([
      ["1.15", "1.15"],
      ["1.19", "1.19"],
      ["1.21", "1.22"],
      ["1.22", "1.22"],
    ])("GoHeap %s: what each call gives, what is released, and the bitmaps", async (version, file) => {
      const lines = await load<GoldenHeap>(file, "scavenge-heap");
      for (const [line, want] of lines.entries()) {
        checkHeap(goScavenged(palloc, version, sizesOf(want)), want, `line ${line}`);
      }
      same(lines.length, 260, "lines");
    });

    it.each<IndexVersion>(["1.19", "1.22"])(
      "an index of %s that is told of each call by hand gives the same, and has Go's state",
      async (version) => {
        for (const [line, want] of (await load<GoldenHeap>(version, "scavenge-heap")).entries()) {
          const keys = want.index?.keys ?? [];
          const byHand = handScavenged(palloc, version, Math.max(...keys) + 1, sizesOf(want));
          checkHeap(byHand, want, `line ${line}`);
          sameState(byHand.index as ScavengeIndex, want.index as HeapIndex, `line ${line}`, keys);
        }
      },
    );
  });
}

const sizesOf = ({ physPageSize, physHugePageSize }: Sizes): Sizes => ({ physPageSize, physHugePageSize });

/** Makes a call on an index of 1.21 or later, and compares what it finds. */
export function makeIndexCall(
  index: Pick<ScavengeIndex, "alloc" | "free" | "nextGen" | "find" | "setEmpty">,
  op: IndexOp,
  what: string,
): void {
  switch (op[0]) {
    case "alloc":
      index.alloc(op[1], op[2]);
      break;
    case "free":
      index.free(op[1], op[2]);
      break;
    case "nextGen":
      index.nextGen();
      break;
    case "find":
      sameFound(index.find(op[1]), [op[2], op[3]], what);
      break;
    case "setEmpty":
      index.setEmpty(op[1]);
      break;
  }
}

function makeOldIndexCall(index: ScavengeIndex, op: OldIndexOp, what: string): void {
  if (op[0] === "mark") index.free(op[1], op[2]);
  else if (op[0] === "clear") index.setEmpty(op[1]);
  else sameFound(index.find(), [op[1], op[2]], what);
}

function sameFound(got: { chunk: number; page: number } | null, [chunk, page]: Found, what: string): void {
  same(got, chunk === -1 ? null : { chunk, page }, what);
}

/** Compares the state of an index with Go's, chunk `keys[i]` with Go's chunk i. */
function sameState(
  index: ScavengeIndex,
  want: IndexState | OldIndexState,
  what: string,
  keys: readonly number[] = [...want.chunks.keys()],
): void {
  const { chunks, ...got } = index.state();
  const named = keys.map((key) => chunks[key]);
  if ("search" in want) {
    same([named, got.search], [want.chunks, want.search], `${what}: state`);
  } else {
    const { bg, force, freeHWM, gen } = want;
    same([named, got.bg, got.force], [want.chunks, bg, force], `${what}: state`);
    same([got.freeHWM, got.gen], [freeHWM, gen], `${what}: freeHWM and gen`);
  }
}

/** Makes the calls of a line, and compares what each gives, and the bitmaps after the last. */
function checkHeap(scavenged: Scavenged, want: GoldenHeap, what: string): void {
  const { heap } = scavenged;
  const caches = new Caches();
  for (const [k, op] of want.ops.entries()) makeHeapCall(scavenged, caches, op, `${what} op ${k} ${op}`);
  heap.check();
  for (const [key, [alloc, released]] of Object.entries(want.final)) {
    const chunk = heap.chunk(GO_BASE + Number(key));
    same(hexOf(chunk.alloc), alloc, () => `${what} chunk ${key}: alloc`);
    same(hexOf(chunk.scavenged), released, () => `${what} chunk ${key}: scavenged`);
  }
}

function makeHeapCall(scavenged: Scavenged, caches: Caches, op: HeapOp, what: string): void {
  const { heap, index, counting } = scavenged;
  switch (op[0]) {
    case "grow":
      heap.grow(addressOf(op[1] * PAGES), op[2] * CHUNK);
      break;
    case "alloc": {
      same(heap.alloc(op[1]), addressOf(op[2]), what);
      if (op[2] === null) break;
      same(heap.lastAllocScavenged, op[3] * PAGE, `${what}: scavenged`);
      counting?.alloc(op[2], op[1]);
      break;
    }
    case "free":
      heap.free(addressOf(op[1]), op[2]);
      index?.free(op[1], op[2]);
      break;
    case "allocToCache": {
      const cache = heap.allocToCache();
      const got = cache.empty ? null : [cache.base, hexOfWord(cache.cache), hexOfWord(cache.scav)];
      same(got, op[1] === null ? null : [addressOf(op[1]), wide(op[2]), wide(op[3])], what);
      if (counting) countCached(counting, cache);
      caches.add(cache);
      break;
    }
    case "flush": {
      const cache = caches.take(addressOf(op[1]), BigInt(`0x${op[2]}`));
      if (counting) countFlushed(counting, cache);
      cache.flush();
      break;
    }
    case "nextGen":
    case "startGen":
      scavenged.nextGen();
      break;
    case "scavenge":
    case "scavengeForce": {
      const { released, runs } = scavenged.scavenge(bytesOf(op[1]), op[0] === "scavengeForce");
      same(released, op[2], `${what}: released`);
      same(merged(runs), op[3] ?? [], `${what}: runs`);
      break;
    }
  }
}

const wide = (hex: string): string => hex.padStart(16, "0");

/** The page caches of a heap. */
class Caches {
  #caches: PageCache[] = [];

  add(cache: PageCache): void {
    this.#caches.push(cache);
  }

  /** Takes out the cache of a block that had these pages, and allocates all others that it has. */
  take(base: number, left: bigint): PageCache {
    const at = this.#caches.findIndex((cache) => cache.base === base && (cache.cache & left) === left);
    if (at === -1) throw new Error(`no cache at ${base} has all pages of ${hexOfWord(left)}`);
    const [cache] = this.#caches.splice(at, 1);
    while (cache.cache !== left) {
      const taken = cache.cache & ~left;
      let npages = 64;
      while (npages > 0 && !isPart(firstFit(cache.cache, npages), taken)) npages--;
      if (npages === 0) throw new Error(`a cache at ${base} cannot have ${hexOfWord(left)} left`);
      cache.alloc(npages);
    }
    return cache;
  }
}

const isPart = (pages: bigint, whole: bigint): boolean => pages !== 0n && (pages & whole) === pages;

/** The lowest run of so many 1 bits; 0n if there is none. */
function firstFit(word: bigint, npages: number): bigint {
  let starts = word;
  for (let i = 1; i < npages; i++) starts &= word >> BigInt(i);
  return ((1n << BigInt(npages)) - 1n) * (starts & -starts);
}

/** Runs in ascending order, neighbours merged. */
function merged(runs: readonly Run[]): Run[] {
  const joined: Run[] = [];
  for (const [first, npages] of runs.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && last[0] + last[1] === first) last[1] += npages;
    else joined.push([first, npages]);
  }
  return joined;
}
