// How the pages of a trace relate to those of the heap that it is replayed on.

import { CHUNK_PAGES } from "../../engine/layout.ts";

/** Pages of a trace, and of the heap. */
export interface Geometry {
  /** Bytes per page of the trace. */
  readonly tracePage: number;
  /** 1 / tracePage: a product with it is exact, and faster than a quotient. */
  readonly perTracePage: number;
  /** Bytes per page of the heap. */
  readonly heapPage: number;
  /** Pages of the heap per page of the trace: a power of two, less than 1 if they are larger. */
  readonly scale: number;
  /**
   * Whether the heap can take and release just the pages that the trace names. If its pages are larger, each allocation
   * is rounded up to pages, and what concerns recorded places is left out.
   */
  readonly exact: boolean;
  /** Bytes per chunk of the heap. */
  readonly chunkBytes: number;
  /** Addresses of the heap are below. */
  readonly limit: number;
}

/** Returns the geometry for a trace with pages of `tracePage` bytes. `limit` is that of the heap's addresses. */
export function geometryOf(tracePage: number, heapPage: number, limit: number): Geometry {
  const scale = tracePage / heapPage;
  return {
    tracePage,
    perTracePage: 1 / tracePage,
    heapPage,
    scale,
    exact: scale >= 1,
    chunkBytes: CHUNK_PAGES * heapPage,
    limit,
  };
}

/** Returns the pages of the heap that hold npages of the trace. */
export function heapPages({ scale }: Geometry, npages: number): number {
  return scale === 1 ? npages : Math.ceil(npages * scale);
}

/** Returns the bytes that the heap grows by for a request of so many of its pages: whole chunks. */
export function growthFor({ heapPage, chunkBytes }: Geometry, npages: number): number {
  return Math.ceil((npages * heapPage) / chunkBytes) * chunkBytes;
}
