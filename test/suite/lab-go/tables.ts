// The named cases of Go's own tests of its scavenger: test/fixtures/tables/scavenger.

import { BackgroundLoop, PiController, type PiControllerOptions } from "palloc/lab";
import { describe, expect, it } from "vitest";
import { BitIndex } from "../../../src/lab/go/bit-index.ts";
import { DensityIndex } from "../../../src/lab/go/density-index.ts";
import { loadFixture } from "../../support/fixtures.ts";
import { PAGES } from "../../support/naive.ts";
import { Random } from "../../support/random.ts";
import { same } from "../../support/same.ts";
import type { Palloc, Subject } from "../../support/subject.ts";
import { type IndexOp, makeIndexCall } from "./golden.ts";

interface IndexTable {
  chunks: number;
  setup: (IndexOp | ["resetSearchAddrs"])[];
  cases: { name: string; ops: IndexOp[] }[];
}
type Seed = [kp: number, ti: number, tt: number, min: number, max: number, setpoint: number];
/** One P's scavenger in phases: bytes to release, and where to stop. */
interface LoopTable {
  procs: number;
  physPageSize: number;
  nsPer4096: number;
  phases: { available: number; stopAt: number; released: number }[];
  cpuFraction: [least: number, most: number];
  model: { wake: string; totalWorked: number; totalSlept: number; cpuFraction: number; sleepRatio: number }[];
}

const load = async <T>(name: string): Promise<T> =>
  JSON.parse(new TextDecoder().decode(await loadFixture(`tables/scavenger/${name}.json`)));

/** The parts that need no engine. */
export function partTables(): void {
  describe("the cases of Go's tests of the scavenger", async () => {
    const { seeds } = await load<{ seeds: Seed[] }>("pi-controller-fuzz");
    it.each(seeds)("PiController(%d, %d, %d, %d, %d) stays finite, whatever is measured", (...seed) => {
      const [kp, ti, tt, min, max, setpoint] = seed;
      for (let round = 1; round <= 200; round++) stayFinite({ kp, ti, tt, min, max }, setpoint, round);
    });

    const loops = await load<LoopTable>("scavenger");
    it("BackgroundLoop works and sleeps as it should over phases", () => checkPhases(loops));
  });
}

/** Gives a controller 100 measurements, each of any 64 bits. */
function stayFinite(options: PiControllerOptions, setpoint: number, seed: number): void {
  const random = new Random(seed);
  const bits = new DataView(new ArrayBuffer(8));
  const controller = new PiController(options);
  for (let step = 0; step < 100; step++) {
    bits.setUint32(0, random.bits());
    bits.setUint32(4, random.bits());
    const input = bits.getFloat64(0);
    const { output } = controller.next(input, setpoint, 1);
    const { errIntegral } = controller;
    const isRight =
      output >= options.min &&
      output <= options.max &&
      Number.isFinite(output) &&
      Number.isFinite(errIntegral);
    if (!isRight)
      throw new Error(`seed ${seed} step ${step}: ${input} gave ${output}, integral ${errIntegral}`);
  }
}

function checkPhases({ procs, physPageSize, nsPer4096, phases, cpuFraction, model }: LoopTable): void {
  const loop = new BackgroundLoop({ procs, physPageSize });
  let released = 0;
  let worked = 0;
  let slept = 0;
  for (const [k, { available, stopAt, released: releasedSoFar }] of phases.entries()) {
    let left = available;
    const scavenge = (nbytes: number) => {
      const got = Math.min(nbytes, left);
      left -= got;
      return { released: got, ns: Math.ceil(got / 4096) * nsPer4096 };
    };
    for (;;) {
      const run = loop.run(() => left <= stopAt, scavenge);
      if (run.released === 0) break;
      released += run.released;
      worked += run.worked;
      loop.sleep(run.worked, (ns) => {
        slept += ns;
        return ns;
      });
    }
    const want = model[k];
    expect({ released, worked, slept }, want.wake).toEqual({
      released: releasedSoFar,
      worked: want.totalWorked,
      slept: want.totalSlept,
    });
    expect(loop.ratio, want.wake).toBe(want.sleepRatio);
    const fraction = worked / (worked + slept);
    expect(fraction, want.wake).toBe(want.cpuFraction);
    expect(fraction).toBeGreaterThan(cpuFraction[0]);
    expect(fraction).toBeLessThan(cpuFraction[1]);
  }
  expect(phases).toHaveLength(4);
}

/** The index, with a look inside: the cases begin with cursors that no call gives. */
export function tablesSuite({ label, palloc }: Subject): void {
  describe(`the cases of Go's tests of the scavenger's index (${label})`, async () => {
    const { chunks, setup, cases } = await load<IndexTable>("scavenge-index");
    it("are 32", () => expect(cases).toHaveLength(32));
    it.each(cases)("$name", ({ ops }) => {
      const index = indexOf(palloc, chunks);
      for (const op of setup) {
        if (op[0] === "resetSearchAddrs") resetCursors(index);
        else makeIndexCall(callsOf(index), op, `setup ${op}`);
      }
      for (const [k, op] of ops.entries()) makeIndexCall(callsOf(index), op, `op ${k} ${op}`);
    });
  });

  describe(`the scavenger's index, inside (${label})`, () => {
    it("counts generations in 32 bits, and knows those of chunks", () => {
      const index = indexOf(palloc, 2);
      index.gen = 2 ** 31 - 1;
      index.nextGen();
      index.alloc(0, PAGES);
      same(index.chunk(0), { inUse: PAGES, lastInUse: 0, gen: 2 ** 31, hasFree: false }, "in the upper half");
      index.gen = -1;
      index.free(3, 500);
      same(index.chunk(0), { inUse: 12, lastInUse: PAGES, gen: 2 ** 32 - 1, hasFree: true }, "in the last");
      index.nextGen();
      index.free(PAGES - 9, 9);
      same(index.chunk(0), { inUse: 3, lastInUse: 12, gen: 0, hasFree: true }, "after the last");
      same(
        index.chunk(1),
        { inUse: 0, lastInUse: 0, gen: 0, hasFree: false },
        "a chunk that nothing touched",
      );
    });

    // Other threads of Go can free there in between. No call here leads to it.
    it("of 1.19 begins with the whole byte of the cursor's chunk, and only a marked cursor goes up", () => {
      const last = 6 * PAGES - 1;
      for (const isMarked of [true, false]) {
        const index = new BitIndex(palloc.PageAlloc.instance());
        index.grow(0, 16);
        index.free(5 * PAGES, 1);
        index.cursor.page = PAGES;
        index.cursor.isMarked = isMarked;
        same(index.find(), last, "found");
        same(index.cursor.state, [isMarked ? last : PAGES, false], "cursor");
      }
    });

    it("keeps what it knows when it grows either way", () => {
      const index = new DensityIndex(palloc.PageAlloc.instance());
      const known = (chunk: number) => ({ inUse: chunk, lastInUse: 0, gen: 0, hasFree: false });
      const chunks = [40, 41, 33, 70, 1, 300, 0, 71];
      for (const [k, chunk] of chunks.entries()) {
        index.grow(chunk, chunk + 1);
        if (chunk > 0) index.alloc(chunk * PAGES, chunk);
        for (const each of chunks.slice(0, k + 1))
          same(index.chunk(each), known(each), `chunk ${each} of ${k}`);
      }
    });
  });
}

function indexOf({ PageAlloc }: Palloc, chunks: number): DensityIndex {
  const index = new DensityIndex(PageAlloc.instance());
  index.grow(0, chunks);
  return index;
}

/** As upstream's resetSearchAddrs. */
function resetCursors(index: DensityIndex): void {
  for (const cursor of [index.background, index.forced]) {
    cursor.page = -1;
    cursor.isMarked = false;
  }
  index.freeHWM = -1;
}

/** The calls of an index as those of `ScavengeIndex`. */
function callsOf(index: DensityIndex): Parameters<typeof makeIndexCall>[0] {
  return {
    alloc: (page, npages) => index.alloc(page, npages),
    free: (page, npages) => index.free(page, npages),
    nextGen: () => index.nextGen(),
    setEmpty: (chunk) => index.setEmpty(chunk),
    find(force = false) {
      const found = index.find(force);
      return found < 0 ? null : { chunk: Math.floor(found / PAGES), page: found % PAGES };
    },
  };
}
