// Workers of both engines that use one heap at once, for real.
import * as wasm from "palloc/shared";
import { describe, expect, it } from "vitest";
import { CHUNK } from "../support/heaps.ts";
import { CHUNKS, FIRST_CHUNKS } from "../support/workers/board.ts";
import { type Crew, type EngineName, type Hand, withHands } from "../support/workers/crew.ts";
import { Overseer } from "../support/workers/overseer.ts";

const ROLES = [
  "allocator",
  "allocator",
  "allocator",
  "allocator",
  "scavenger",
  "scavenger",
  "resetter",
] as const;

/** Lets workers make that many calls, of every role, worker by worker on these engines. */
async function load(hands: Hand[], engines: readonly EngineName[], calls: number): Promise<void> {
  const overseer = new Overseer(wasm, 1);
  ROLES.forEach((role, i) => {
    overseer.engage(hands[i], engines[i % engines.length], role);
  });
  const { board } = overseer;
  for (let part = 1; part <= 20; part++) {
    const until = (calls * part) / 20;
    board.limitChunks(FIRST_CHUNKS + Math.floor((CHUNKS - FIRST_CHUNKS) * (part / 20)));
    await overseer.until(() => board.calls >= until);
    await overseer.inspect();
  }
  const { sys } = await overseer.finish();
  expect(sys).toBe(board.chunks * CHUNK);
  expect(board.chunks).toBeGreaterThan(FIRST_CHUNKS);
}

/** @param calls how many in all that take or give pages; those that scavenge and reset come on top of them */
export function loadSuite(crew: Crew, calls: number): void {
  describe("workers that share a heap", () => {
    it.each<[string, EngineName[], number]>([
      ["wasm and ts", ["wasm", "ts", "ts", "wasm", "ts", "wasm", "wasm"], 0.8],
      ["wasm", ["wasm"], 0.1],
      ["ts", ["ts"], 0.1],
    ])(
      "never give a page two owners or release a page in use (%s)",
      async (_, engines, share) => {
        await withHands(crew, ROLES.length, (...hands) => load(hands, engines, calls * share));
      },
      300_000,
    );
  });
}
