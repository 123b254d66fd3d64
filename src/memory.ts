// Linear memory as JavaScript sees it: one buffer that grows, and views of it. Views of plain memory are useless once it
// has grown, so they are kept here, refreshed by `grow`, and never held elsewhere for longer than a call.

/** Bytes of a page of WebAssembly memory, the step in which all memory grows. */
export const MEMORY_PAGE = 65536;
/** The most pages that memory can have: 32-bit addresses. */
export const MEMORY_PAGES_MAX = 65536;

/** Linear memory of an engine. */
export abstract class Memory {
  i32!: Int32Array;
  f64!: Float64Array;
  u8!: Uint8Array;
  u64!: BigUint64Array;

  /** The buffer itself. Asking WebAssembly for it is slow; the views are not. */
  abstract readonly buffer: ArrayBufferLike;

  /** Bytes that there are now. */
  get size(): number {
    return this.u8.length;
  }

  /** Adds pages of 64 KiB, zeroed. Returns false, with nothing changed, when there is no more to be had. */
  grow(pages: number): boolean {
    if (this.size / MEMORY_PAGE + pages > MEMORY_PAGES_MAX || !this.extend(pages)) return false;
    this.refresh();
    return true;
  }

  /** Adds pages to the buffer, or returns false. */
  protected abstract extend(pages: number): boolean;

  /** Makes the views anew. */
  protected refresh(): void {
    const { buffer } = this;
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.u64 = new BigUint64Array(buffer);
  }
}

/** Memory that is nothing but an ArrayBuffer, for the twin. */
export class ArrayMemory extends Memory {
  #buffer: ArrayBuffer;

  constructor(pages: number) {
    super();
    this.#buffer = new ArrayBuffer(pages * MEMORY_PAGE);
    this.refresh();
  }

  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  protected extend(pages: number): boolean {
    const { u8 } = this;
    try {
      this.#buffer = new ArrayBuffer(u8.length + pages * MEMORY_PAGE);
    } catch {
      return false;
    }
    new Uint8Array(this.#buffer).set(u8);
    return true;
  }
}
