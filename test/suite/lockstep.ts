// Both engines in lockstep with the naive model under random calls.
import { describe, it } from "vitest";
import { Lockstep } from "../support/lockstep.ts";
import type { Subject } from "../support/subject.ts";

const CALLS = 400;
/** Seeds that are run always. One that has once failed belongs in here. */
const SEEDS = Array.from({ length: 96 }, (_, i) => i + 1);
/** Seeds that nobody has tried. A failure prints its own. */
const NEW_SEEDS = Array.from({ length: 4 }, () => Math.floor(Math.random() * 2 ** 32));

export function lockstepSuite(subjects: readonly Subject[]): void {
  describe("both engines and the model agree", () => {
    it.each([...SEEDS, ...NEW_SEEDS])("seed %i", (seed) => new Lockstep(seed, subjects).run(CALLS));
  });
}
