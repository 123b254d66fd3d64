// How the fixtures count: pages of 8 KiB, chunks and pages from chunk 0xc000 on, where Go's own heap starts.
import { PAGES } from "./naive.ts";

/** Bytes of a page. */
export const PAGE = 8192;
/** Chunk 0 of the fixtures. */
export const GO_BASE = 0xc000;

export type GoRanges = Record<string, [first: number, count: number][]>;

/** Ranges by the chunk's true index. */
export function goRanges(ranges: GoRanges): Record<number, [first: number, count: number][]> {
  return Object.fromEntries(Object.entries(ranges).map(([key, value]) => [GO_BASE + Number(key), value]));
}

/** The address of a page; -1 for none. */
export function addressOf(page: number | null): number {
  return page === null ? -1 : (GO_BASE * PAGES + page) * PAGE;
}

export const bytesOf = (nbytes: number | "max"): number => (nbytes === "max" ? Infinity : nbytes);
