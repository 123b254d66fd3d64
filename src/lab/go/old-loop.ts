// The background scavenger's loop of Go 1.14 to 1.16 (mgcscavenge.go, bgscavenge): it releases one page, or one huge
// page, at a time, and sleeps after each.

/** Share of one P's time that the scavenger may take. */
const SHARE = 0.01;
/** Most ns that one release counts for. */
const MOST_NS = 1e7;

/** How long the loop sleeps. Times are in ns. */
export class OldLoop {
  /** Share of the time that it has taken lately. */
  #lately = SHARE;

  /** Returns how long to sleep after a release that took so many ns. */
  sleepTime(ns: number): number {
    return (Math.min(ns, MOST_NS) * (this.#lately / SHARE)) / SHARE;
  }

  /** Learns from how long it has slept after a release. */
  slept(ns: number, slept: number): void {
    const counted = Math.min(ns, MOST_NS);
    this.#lately = (counted / (counted + slept) + this.#lately) / 2;
  }
}
