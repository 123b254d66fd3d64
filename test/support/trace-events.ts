// Traces made for tests, event by event, whatever their format.

export const ALLOC = 1;
export const FREE = 2;
export const SCAVENGE = 3;
export const EXISTS = 4;
export const GROW = 5;
export const UNMAP = 6;

/** An event: its kind, its address in bytes, its pages, and its P. */
export type Event = readonly [kind: number, base: number, npages: number, proc?: number];

/** A trace of these events, 1 us apart. It has them as `events` too. */
export function eventsOf(...events: readonly Event[]) {
  return {
    events,
    length: events.length,
    time: Float64Array.from(events, (_, i) => 1000 * i),
    proc: Int32Array.from(events, ([, , , proc]) => proc ?? -1),
    kind: Uint8Array.from(events, ([kind]) => kind),
    base: Float64Array.from(events, ([, base]) => base),
    npages: Uint32Array.from(events, ([, , npages]) => npages),
  };
}
