// Linear memory as JavaScript sees it: one buffer that grows, and views of it. Views of plain memory are useless once it
// has grown, so they are kept here, made anew by `grow`, and never held elsewhere for longer than a call.

/** Bytes of a page of WebAssembly memory, the step in which all memory grows. */
export const MEMORY_PAGE = 65536;
/** The most pages that memory can have: 32-bit addresses. */
export const MEMORY_PAGES_MAX = 65536;

/** What linear memory is made of. A WebAssembly.Memory is one; asking that for its buffer is slow, its views are not. */
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

  constructor(backing: Backing) {
    this.#backing = backing;
    this.#view();
  }

  /** Bytes that there are now. */
  get size(): number {
    return this.u8.length;
  }

  /** Adds pages of 64 KiB, zeroed. Returns false, with nothing changed, when there is no more to be had. */
  grow(pages: number): boolean {
    if (this.size / MEMORY_PAGE + pages > MEMORY_PAGES_MAX) return false;
    try {
      this.#backing.grow(pages);
    } catch {
      return false;
    }
    this.#view();
    return true;
  }

  #view(): void {
    const { buffer } = this.#backing;
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u64 = new BigUint64Array(buffer);
  }
}
