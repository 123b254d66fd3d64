// The kernels once more, one boolean a page and one loop a question: slow, and plain to see right.

export type Bits = boolean[];
export interface Run {
  start: number;
  npages: number;
}

export const PAGES = 512;
const WORD = 64;

const alignDown = (n: number, to: number) => Math.floor(n / to) * to;
const alignUp = (n: number, to: number) => Math.ceil(n / to) * to;

export const noBits = (): Bits => new Array<boolean>(PAGES).fill(false);

/** Whether `test` holds for all of [first, first + count). */
export function every(first: number, count: number, test: (i: number) => boolean): boolean {
  for (let i = first; i < first + count; i++) if (!test(i)) return false;
  return true;
}

/** Every m-aligned group of m bits with a 1 becomes all 1s. */
export function fillAligned(bits: Bits, m: number): Bits {
  return bits.map((_, i) => !every(alignDown(i, m), m, (k) => !bits[k]));
}

/** The first free page from searchIdx's word on, and the first run of npages free ones; -1 for none. */
export function find(alloc: Bits, npages: number, searchIdx: number): { index: number; searchIdx: number } {
  const from = alignDown(searchIdx, WORD);
  const free = (i: number) => !alloc[i];
  let index = -1;
  for (let i = PAGES - npages; i >= from; i--) if (every(i, npages, free)) index = i;
  return { index, searchIdx: alloc.indexOf(false, from) };
}

/** Free pages at the start, the longest run of them, and free pages at the end. */
export function summarize(alloc: Bits): { start: number; max: number; end: number } {
  const runs = [0];
  for (const inUse of alloc) {
    if (inUse) runs.push(0);
    else runs[runs.length - 1]++;
  }
  return { start: runs[0], max: Math.max(...runs), end: runs[runs.length - 1] };
}

/** Whether all of the group of min pages that starts at `first` is free and unscavenged. */
const isCandidate = (alloc: Bits, scavenged: Bits, first: number, min: number) =>
  every(first, min, (i) => !alloc[i] && !scavenged[i]);

export function hasScavengeCandidate(alloc: Bits, scavenged: Bits, min: number): boolean {
  for (let first = 0; first < PAGES; first += min) if (isCandidate(alloc, scavenged, first, min)) return true;
  return false;
}

/** The highest run of candidates that ends in searchIdx's word or below it, cut to max, huge pages kept whole. */
export function findScavengeCandidate(
  alloc: Bits,
  scavenged: Bits,
  searchIdx: number,
  min: number,
  max: number,
  pagesPerHugePage: number,
): Run {
  let top = alignDown(alignDown(searchIdx, WORD) + WORD, min) - min;
  while (top >= 0 && !isCandidate(alloc, scavenged, top, min)) top -= min;
  if (top < 0) return { start: 0, npages: 0 };

  const end = top + min;
  let bottom = top;
  while (bottom > 0 && isCandidate(alloc, scavenged, bottom - min, min)) bottom -= min;

  let start = Math.max(bottom, end - Math.max(min, alignUp(max, min)));
  if (pagesPerHugePage > 0 && alignUp(start, pagesPerHugePage) <= end) {
    const hugePage = alignDown(start, pagesPerHugePage);
    if (hugePage >= bottom) start = hugePage;
  }
  return { start, npages: end - start };
}
