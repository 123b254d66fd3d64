// Linear memory as JavaScript sees it: one buffer that grows, and views of it. Views of plain memory are useless once
// it has grown, and those of shared memory end where it did; so they are kept here, made anew, and never held elsewhere
// for longer than a call.

/** Bytes of a page of WebAssembly memory, the step in which all memory grows. */
export const MEMORY_PAGE = 65536;
/** The most pages that memory can have: 32-bit addresses. */
export const MEMORY_PAGES_MAX = 65536;

/** In how many pages at least memory grows when it is to reach somewhere. */
const REACH_STEP = 16;

/**
 * What linear memory is made of. A WebAssembly.Memory is one; asking that for its buffer is slow, its views are not.
 */
export interface Backing {
  readonly buffer: ArrayBufferLike;
  /** Adds pages of 64 KiB, zeroed, or throws. */
  grow(pages: number): unknown;
}

/** Linear memory of an engine. */
export class Memory {
  readonly #backing: Backing;
  i32!: Int32Array;
  f64!: Float64Array;
  u8!: Uint8Array;
  u64!: BigUint64Array;
  /** Bytes that there are now. */
  size = 0;

  constructor(backing: Backing) {
    this.#backing = backing;
    this.refresh();
  }

  /** Adds pages of 64 KiB, zeroed. Returns false, with nothing changed, when there is no more to be had. */
  grow(pages: number): boolean {
    return this.size / MEMORY_PAGE + pages <= MEMORY_PAGES_MAX && this.refresh(pages);
  }

  /** Sees to it that there are at least that many bytes, also when another thread grows the memory meanwhile. */
  reach(bytes: number): boolean {
    if (bytes > MEMORY_PAGES_MAX * MEMORY_PAGE) return false;
    while (this.size < bytes) {
      const { size } = this;
      this.refresh();
      if (this.size > size) continue;
      const pages = Math.ceil((bytes - size) / MEMORY_PAGE / REACH_STEP) * REACH_STEP;
      if (this.grow(Math.min(pages, MEMORY_PAGES_MAX - size / MEMORY_PAGE))) continue;
      this.refresh();
      if (this.size === size) return false;
    }
    return true;
  }

  /** Makes the views anew, of all that there is now, once it has grown by so many pages. Returns whether it could. */
  refresh(pages = 0): boolean {
    try {
      if (pages) this.#backing.grow(pages);
    } catch {
      return false;
    }
    // No function of ours is called from here on: if the stack overflowed, old views would be left, of memory that is
    // gone.
    const { buffer } = this.#backing;
    const bytes = buffer.byteLength;
    this.size = bytes;
    // A length that is given stays: views that follow a buffer's growth by themselves are slower.
    this.i32 = new Int32Array(buffer, 0, bytes / 4);
    this.f64 = new Float64Array(buffer, 0, bytes / 8);
    this.u8 = new Uint8Array(buffer, 0, bytes);
    this.u64 = new BigUint64Array(buffer, 0, bytes / 8);
    return true;
  }
}

/** What workers share. A SharedArrayBuffer only where there is no WebAssembly. */
export type SharedMemory = WebAssembly.Memory | SharedArrayBuffer;

/** A part of linear memory that belongs to one user. It may be moved when it is resized. */
export interface Region {
  /** Address; 0 once given back. */
  at: number;
  /** Bytes, a multiple of 1024. */
  bytes: number;
  /** For a shared heap, lets another have the place; not there where threads may be attached, or may yet be. */
  giveBack?: () => void;
}
