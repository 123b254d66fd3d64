// Linear memory as JavaScript sees it: one buffer that grows, and views of it. When plain memory grows, its old views
// are detached. When shared memory grows, its old views keep their length. So the views are kept here, replaced after
// each growth, and never held elsewhere for longer than a call.

import type { WasmMemory } from "../base/platform.ts";

/** Bytes of a page of WebAssembly memory, the step in which all memory grows. */
export const MEMORY_PAGE = 65536;
/** Most pages of memory, as addresses have 32 bits. */
export const MEMORY_PAGES_MAX = 65536;

/** `reach` grows memory by a multiple of this many pages. */
const REACH_STEP = 16;

/**
 * What holds the buffer of linear memory, such as a WebAssembly.Memory. Reading the buffer from that is slow; using
 * views of it is not.
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
  /** Current size in bytes. */
  size = 0;

  constructor(backing: Backing) {
    this.#backing = backing;
    this.refresh();
  }

  /** Adds pages of 64 KiB, zeroed. Returns false, with nothing changed, when memory is full. */
  grow(pages: number): boolean {
    return this.size / MEMORY_PAGE + pages <= MEMORY_PAGES_MAX && this.refresh(pages);
  }

  /**
   * Grows memory to at least that many bytes, even if another thread grows it meanwhile. Returns false when memory is
   * full.
   */
  reach(bytes: number): boolean {
    if (!PALLOC_SHARED) return bytes <= this.size;
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

  /** Grows memory by `pages` pages of 64 KiB, then replaces the views. Returns false if memory cannot grow. */
  refresh(pages = 0): boolean {
    try {
      if (pages) this.#backing.grow(pages);
    } catch {
      return false;
    }
    // Calls no function of ours from here on. A stack overflow would leave old views, of memory that is gone.
    const { buffer } = this.#backing;
    const bytes = buffer.byteLength;
    this.size = bytes;
    // An explicit length makes the views fixed. Views that follow the growth of their buffer are slower.
    this.i32 = new Int32Array(buffer, 0, bytes / 4);
    this.f64 = new Float64Array(buffer, 0, bytes / 8);
    this.u8 = new Uint8Array(buffer, 0, bytes);
    this.u64 = new BigUint64Array(buffer, 0, bytes / 8);
    return true;
  }
}

/** Memory that workers share. It is a SharedArrayBuffer only where there is no WebAssembly. */
export type SharedMemory = WasmMemory | SharedArrayBuffer;

/** A part of linear memory that belongs to one user. It may be moved when it is resized. */
export interface Region {
  /** Address; 0 after the region has been freed. */
  at: number;
  /** Bytes, a multiple of 1024. */
  bytes: number;
  /** For a shared heap: lets another heap reuse the space. Undefined once another thread may have the handle. */
  giveBack?: () => void;
}
