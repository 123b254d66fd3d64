// The background scavenger: releases what is free a little at a time, and so is seldom in the others' way.
import { MiB } from "./shared.mjs";

/** Bytes to release in one go, and the pause after it, in ms. */
const STEP_BYTES = 4 * MiB;
const PAUSE_MS = 5;

/** Scavenges until it shall stop. Returns its report. */
export function scavenge({ heap, signals }) {
  let released = 0;
  let passes = 0;
  while (!signals.stopped) {
    const bytes = heap.scavenge(STEP_BYTES);
    released += bytes;
    // A pass goes downward once. What was freed above it in the meantime takes the next one, from the top.
    if (bytes === 0) {
      heap.resetScavengeAddr();
      passes++;
    }
    signals.sleep(PAUSE_MS);
  }
  return { "MiB released": Math.round(released / MiB), passes };
}
