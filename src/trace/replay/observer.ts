// Who watches what a replay does with the pages of its heap.

/** Told of each change, in order. Pages are page numbers of the heap. It must not call the heap. */
export interface Observer {
  /** Time of the event that makes the changes, in ns. It is set before them. */
  time: number;
  /** Whether the replay stops after an event for which the heap has grown. */
  readonly stopsAfterGrowth: boolean;
  /** Pages by which the heap has grown since this was last set to 0. */
  grown: number;
  /** Pages were mapped. They are free, and were never touched. */
  mapped(page: number, npages: number): void;
  /** Free pages were unmapped. */
  unmapped(page: number, npages: number): void;
  /** Free pages were allocated, `scavenged` of which had been released, or never touched. */
  taken(page: number, npages: number, scavenged: number): void;
  /** Pages in use were freed. */
  freed(page: number, npages: number): void;
}
