// The spans in use, in order of their addresses. Memory follows their number, however far apart or long they are.

/** A run of pages that the allocator gave out. */
export interface Span {
  /** Address in bytes. */
  readonly base: number;
  readonly npages: number;
  /** 0 to CLASSES - 1, or NO_CLASS. */
  readonly sizeClass: number;
}

/** Most spans of a block. Adding a span moves half of a block. */
const BLOCK_SPANS = 128;

/** Spans that do not overlap. */
export class LiveSpans {
  readonly #pageSize: number;
  /** The spans, ascending. No block is empty, but for the only one. */
  readonly #blocks: Span[][] = [[]];
  /** Where `#find` has found a span: its block, and its index there. */
  #block = 0;
  #index = 0;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  /** Returns the span that an address lies in. */
  at(address: number): Span | undefined {
    const span = this.#find(address);
    return span && address < this.#endOf(span) ? span : undefined;
  }

  /** Returns the highest span that overlaps the given pages. */
  overlapping(base: number, npages: number): Span | undefined {
    const span = this.#find(base + (npages - 1) * this.#pageSize);
    return span && base < this.#endOf(span) ? span : undefined;
  }

  /** Adds a span, which must not overlap others. */
  add(span: Span): void {
    const index = this.#find(span.base) ? this.#index + 1 : 0;
    const block = this.#blocks[this.#block];
    block.splice(index, 0, span);
    if (block.length > BLOCK_SPANS) this.#blocks.splice(this.#block + 1, 0, block.splice(BLOCK_SPANS / 2));
  }

  /** Removes a span, which must be there. */
  remove(span: Span): void {
    this.#find(span.base);
    const block = this.#blocks[this.#block];
    block.splice(this.#index, 1);
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(this.#block, 1);
  }

  /** Finds the last span that starts at or below an address. Without one, #block is the first. */
  #find(address: number): Span | undefined {
    const blocks = this.#blocks;
    this.#block = Math.max(
      lastIndex(blocks.length, (i) => blocks[i][0]?.base <= address),
      0,
    );
    const block = blocks[this.#block];
    this.#index = lastIndex(block.length, (i) => block[i].base <= address);
    return block[this.#index];
  }

  #endOf({ base, npages }: Span): number {
    return base + npages * this.#pageSize;
  }
}

/** Returns the last index below `length` for which `holds`, -1 if none. It must hold for all before that. */
function lastIndex(length: number, holds: (index: number) => boolean): number {
  let low = -1;
  let high = length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}
