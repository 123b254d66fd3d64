// That the naive model and the naive kernels, which the engines are judged by, are right themselves: they give what Go
// gave.
import { expect, it } from "vitest";
import { type GoldenCandidate, type GoldenHeap, goState, makeCall } from "./suite/golden.ts";
import { bitsOfWord, hexOfWord, wordOfBits } from "./support/bitmaps.ts";
import { loadLines } from "./support/fixtures.ts";
import { GO_BASE, PAGE } from "./support/go-heap.ts";
import { Model } from "./support/model.ts";
import { modelFacts } from "./support/model-facts.ts";
import { type Bits, findScavengeCandidate, hasScavengeCandidate } from "./support/naive.ts";
import { same } from "./support/same.ts";

const bitsOfHex = (hex: string): Bits =>
  (hex.match(/.{16}/g) ?? []).flatMap((word) => bitsOfWord(BigInt(`0x${word}`)));
const hexOfBits = (bits: Bits): string =>
  Array.from({ length: 8 }, (_, k) => hexOfWord(wordOfBits(bits.slice(k * 64, k * 64 + 64)))).join("");

it("the model gives Go's results and bitmaps", async () => {
  const heaps = await loadLines<GoldenHeap>("golden/page-alloc.ndjson.gz");
  for (const [line, want] of heaps.entries()) {
    const { physPageSize, physHugePageSize } = want;
    const model = Model.from(goState(want), { pageSize: PAGE, physPageSize, physHugePageSize });
    for (const [k, op] of want.ops.entries()) makeCall(model, op, () => `line ${line} op ${k} ${op}`);
    for (const { index, alloc, scavenged } of model.chunks) {
      const got = { alloc: hexOfBits(alloc), scavenged: hexOfBits(scavenged) };
      same(got, want.final[index - GO_BASE], () => `line ${line} chunk ${index}`);
    }
  }
  expect(heaps.length).toBeGreaterThan(0);
});

it("the naive candidates are Go's", async () => {
  const candidates = await loadLines<GoldenCandidate>("golden/scavenge-candidate.ndjson.gz");
  for (const [line, want] of candidates.entries()) {
    const [alloc, scavenged] = [bitsOfHex(want.alloc), bitsOfHex(want.scavenged)];
    const huge = want.physHugePageSize > PAGE ? want.physHugePageSize / PAGE : 0;
    same(hasScavengeCandidate(alloc, scavenged, want.min), want.has, () => `line ${line} has`);
    const got = findScavengeCandidate(alloc, scavenged, want.searchIdx, want.min, want.max, huge);
    same(got.npages, want.npages, () => `line ${line} npages`);
    if (want.npages > 0) same(got.start, want.start, () => `line ${line} start`);
  }
  expect(candidates.length).toBeGreaterThan(0);
});

it("the facts of the model are those in the fixtures", async () => {
  expect(await loadLines("golden/model.ndjson.gz")).toEqual(JSON.parse(JSON.stringify(modelFacts())));
});
