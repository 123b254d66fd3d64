// What a heap's scavengers have in common, whichever version of Go they are of.

/** Told of each release, in order: the address and the bytes. */
export type OnRelease = (base: number, nbytes: number) => void;

/** A scavenger of one heap. Pages are page numbers. */
export interface Scavenger {
  grown?(page: number, npages: number): void;
  unmapped?(page: number, npages: number): void;
  taken?(page: number, npages: number): void;
  freed?(page: number, npages: number): void;
  /** A page cache was filled: some pages of a chunk are in use. */
  cached?(page: number, npages: number): void;
  /** A page cache gave back pages of the block at `page`: those with a 1 in two 32-bit words. */
  flushed?(page: number, low: number, high: number): void;
  /** The collector has finished marking or, in 1.15, sweeping. */
  nextGen(): void;
  /**
   * Releases runs until they have nbytes (1 or more, or Infinity) or nothing is left. Returns the bytes. `force`: also
   * what the background scavenger leaves alone.
   */
  scavenge(nbytes: number, force: boolean, onRelease: OnRelease | undefined): number;
  /** Frees its memory, after its last use. Without this it is freed when the scavenger is garbage-collected. */
  dispose?(): void;
}
