// The scavenges of recorded programs whose Go has the scavenger of 1.19: each must be where Go's was.

import { GoHeap } from "palloc/lab";
import { describe, expect, it } from "vitest";
import { loadFixture } from "../../support/fixtures.ts";
import { CHUNK, PAGE } from "../../support/heaps.ts";
import { PAGES } from "../../support/naive.ts";
import { ProgramHeap } from "../../support/program-heap.ts";
import type { Subject } from "../../support/subject.ts";
import { ALLOC, FREE, SCAVENGE } from "../../support/trace-events.ts";

/** Pages that the background scavenger asks for at a time: 64 KiB. */
const QUANTUM = 8;
/** Pages of a huge page of 2 MiB. */
const HUGE_PAGES = 256;

export function tracesSuite({ label, palloc, trace }: Subject): void {
  describe(`the scavenges of recorded programs (${label})`, () => {
    // A scavenge is a run of pages that Go released. It *ends right* if a release ends where it does, at the same last
    // byte: Go looks from there downward, so that says where it looked. It is *exact* if its first byte is the same
    // too. That takes how many pages Go wanted, which the trace does not say. Asked for as many as Go got, GoHeap must
    // be exact. If instead Go is taken to have asked for 64 KiB again and again, without a break, the candidates in the
    // chunk have the lengths of `guessed` releases: all but those at the end of such a quantum that Go began elsewhere.
    it.each([
      ["go-compile-runtime", 354, 354],
      ["go1-json", 3900, 3862],
      ["gofmt-std", 6560, 6526],
    ])("those of %s are predicted: %i", async (name, scavenges, guessed) => {
      const { length, kind, base, npages, proc } = await trace.readPageTrace(
        await loadFixture(`traces/${name}.pt.gz`),
      );
      const go = new GoHeap(palloc.PageAlloc, { version: "1.19" });
      const program = new ProgramHeap(go.heap, base[kind.indexOf(ALLOC)]);
      const found = { all: 0, elsewhere: 0, endRight: 0, exact: 0, guessed: 0, guessedEnds: 0 };
      let wanted = QUANTUM;
      for (let event = 0; event < length; event++) {
        const pages = npages[event];
        if (kind[event] === ALLOC) {
          if (program.alloc(pages, proc[event]) !== base[event]) found.elsewhere++;
        } else if (kind[event] === FREE) {
          go.heap.free(base[event], pages);
        } else if (kind[event] === SCAVENGE) {
          const end = base[event] + pages * PAGE;
          const chunk = go.heap.chunk(Math.floor(base[event] / CHUNK));
          const guess = chunk.findScavengeCandidate(PAGES - 1, 1, wanted, HUGE_PAGES);
          wanted = wanted > pages ? wanted - pages : QUANTUM;
          const runs: [base: number, end: number][] = [];
          go.scavenge(pages * PAGE, { onRelease: (at, nbytes) => runs.push([at, at + nbytes]) });
          const [run] = runs;
          found.all++;
          if (run?.[1] === end) found.endRight++;
          if (runs.length === 1 && run[0] === base[event] && run[1] === end) found.exact++;
          if (guess.npages === pages) found.guessed++;
          if (guess.start + guess.npages === ((end / PAGE - 1) % PAGES) + 1) found.guessedEnds++;
        }
      }
      expect(found).toEqual({
        all: scavenges,
        elsewhere: 0,
        endRight: scavenges,
        exact: scavenges,
        guessed,
        guessedEnds: scavenges,
      });
      go.heap.check();
    });
  });
}
