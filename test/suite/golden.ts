// What Go's code answered to seeded random input, line by line: test/fixtures/golden.
import { beforeAll, describe, it } from "vitest";
import { hexOf, hexOfWord, setHex } from "../support/bitmaps.ts";
import { loadLines } from "../support/fixtures.ts";
import { addressOf, bytesOf, GO_BASE, type GoRanges, goRanges, PAGE } from "../support/go-heap.ts";
import type { ModelHeap, ModelOp } from "../support/model-facts.ts";
import { same } from "../support/same.ts";
import type { PageAlloc, Subject } from "../support/subject.ts";

interface FillAligned {
  x: string;
  m: number;
  want: string;
}
export interface GoldenCandidate {
  alloc: string;
  scavenged: string;
  searchIdx: number;
  min: number;
  max: number;
  physHugePageSize: number;
  has: boolean;
  start: number;
  npages: number;
}
export type Op =
  | ["alloc", npages: number, page: number | null]
  | ["free", page: number, npages: number]
  | ["scavenge", nbytes: number | "max", released: number, scavAddr: number | "done"]
  | ["resetScavengeAddr", scavAddr: number];
export interface GoldenHeap {
  physPageSize: number;
  physHugePageSize: number;
  alloc: GoRanges;
  scavenged: GoRanges;
  ops: Op[];
  final: Record<string, { alloc: string; scavenged: string }>;
}

export function goldenSuite({ palloc }: Subject): void {
  const { PageAlloc, PallocData, fillAligned } = palloc;

  describe("Go's golden results", () => {
    let words: FillAligned[];
    let candidates: GoldenCandidate[];
    let heaps: GoldenHeap[];
    let modelHeaps: ModelHeap[];
    beforeAll(async () => {
      words = await loadLines("golden/fill-aligned.ndjson.gz");
      modelHeaps = await loadLines("golden/model.ndjson.gz");
      candidates = await loadLines("golden/scavenge-candidate.ndjson.gz");
      heaps = await loadLines("golden/page-alloc.ndjson.gz");
    });

    it("fillAligned", () => {
      for (const { x, m, want } of words) {
        same(hexOfWord(fillAligned(BigInt(`0x${x}`), m)), want, () => `fillAligned(0x${x}n, ${m})`);
      }
    });

    it("hasScavengeCandidate and findScavengeCandidate", () => {
      const data = new PallocData();
      for (const [line, want] of candidates.entries()) {
        setHex(data.alloc, want.alloc);
        setHex(data.scavenged, want.scavenged);
        const huge = want.physHugePageSize > PAGE ? want.physHugePageSize / PAGE : 0;
        same(data.hasScavengeCandidate(want.min), want.has, () => `line ${line} has`);
        const got = data.findScavengeCandidate(want.searchIdx, want.min, want.max, huge);
        same(got.npages, want.npages, () => `line ${line} npages`);
        if (want.npages) same(got.start, want.start, () => `line ${line} start`);
      }
    });

    it("heaps: the model's results of calls that Go does not have", () => {
      for (const [line, { physPageSize, ops, ...state }] of modelHeaps.entries()) {
        const heap = PageAlloc.from(goState(state), { physPageSize, physHugePageSize: 0 });
        for (const [k, op] of ops.entries()) makeModelCall(heap, op, () => `line ${line} op ${k} ${op}`);
        heap.check();
      }
      same(modelHeaps.length, 60, "heaps");
    });

    it("heaps: results and bitmaps after each call", () => {
      for (const [line, want] of heaps.entries()) {
        const { physPageSize, physHugePageSize } = want;
        const heap = PageAlloc.from(goState(want), { physPageSize, physHugePageSize });
        for (const [k, op] of want.ops.entries()) makeCall(heap, op, () => `line ${line} op ${k} ${op}`);
        heap.check();
        for (const [key, bits] of Object.entries(want.final)) {
          const chunk = heap.chunk(GO_BASE + Number(key));
          same(hexOf(chunk.alloc), bits.alloc, () => `line ${line} chunk ${key} alloc`);
          same(hexOf(chunk.scavenged), bits.scavenged, () => `line ${line} chunk ${key} scavenged`);
        }
      }
    });
  });
}

/** The heap that the calls are made on, for `from`. */
export const goState = ({ alloc, scavenged }: Pick<GoldenHeap, "alloc" | "scavenged">) => ({
  alloc: goRanges(alloc),
  scavenged: goRanges(scavenged),
});

/** Makes a call that Go does not have, and compares its result with the model's. */
function makeModelCall(heap: PageAlloc, op: ModelOp, what: () => string): void {
  const page = (address: number) => (address - addressOf(0)) / PAGE;
  switch (op[0]) {
    case "alloc":
      same(heap.alloc(op[1], { align: op[2] }), addressOf(op[3]), what);
      break;
    case "free":
      heap.free(addressOf(op[1]), op[2]);
      break;
    case "unmap":
      same(heap.unmap(addressOf(op[1]), op[2] * PAGE), op[3] * PAGE, what);
      break;
    case "scavenge":
      same(heap.scavenge(op[1] * PAGE), op[2] * PAGE, what);
      break;
    case "longestFree":
      same(heap.longestFree(), op[1], what);
      break;
    case "freeRuns":
      same(
        [...heap.freeRuns()].map((run) => [page(run.base), run.nbytes / PAGE, run.scavenged / PAGE]),
        op[1],
        what,
      );
      break;
  }
}

type Calls = Pick<PageAlloc, "alloc" | "free" | "scavenge" | "resetScavengeAddr" | "scavAddr">;

/** Makes a call, and compares its result and scavAddr with Go's. */
export function makeCall(heap: Calls, op: Op, what: () => string): void {
  const scavAddr = () => (heap.scavAddr === -1 ? "done" : heap.scavAddr - addressOf(0));
  switch (op[0]) {
    case "alloc":
      same(heap.alloc(op[1]), addressOf(op[2]), what);
      break;
    case "free":
      heap.free(addressOf(op[1]), op[2]);
      break;
    case "scavenge":
      same(heap.scavenge(bytesOf(op[1])), op[2], what);
      same(scavAddr(), op[3], what);
      break;
    case "resetScavengeAddr":
      heap.resetScavengeAddr();
      same(scavAddr(), op[1], what);
      break;
  }
}
