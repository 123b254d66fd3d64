// What a replay counts.

/** What has been counted so far, in pages of the heap unless noted. */
export class Counters {
  /** Allocated by the trace, or in use when it began. */
  inUse = 0;
  peakInUse = 0;
  /** Mapped in the heap. */
  sys = 0;
  peakSys = 0;
  /** Free and scavenged. */
  released = 0;
  peakRetained = 0;
  /** Released by the trace's scavenge events, in total. */
  scavenged = 0;
  /** Number of allocations that the heap placed where they were recorded. */
  addressMatches = 0;

  /** Counts pages as allocated by the trace, or as in use when it began. */
  use(npages: number): void {
    this.inUse += npages;
    if (this.inUse > this.peakInUse) this.peakInUse = this.inUse;
  }

  /** Counts pages that were taken, and had been scavenged. */
  reuse(npages: number): void {
    this.released -= npages;
    this.peakRetained = Math.max(this.peakRetained, this.sys - this.released);
  }

  /** Counts pages that the heap has grown by. They are scavenged. */
  grow(npages: number): void {
    this.sys += npages;
    this.released += npages;
    if (this.sys > this.peakSys) this.peakSys = this.sys;
  }
}
