// Numbers for the pages of a heap, of which few may be touched.

/** Pages of a part. */
export const PART_PAGES = 2 ** 10;

/** An array for each part that is touched: of 1,024 pages, the first of which is a multiple of that. */
export class PageTable<Numbers extends Float64Array | Uint8Array | Uint32Array> {
  readonly #make: new (
    length: number,
  ) => Numbers;
  readonly #parts = new Map<number, Numbers>();
  #number = -1;
  #part: Numbers | undefined;

  constructor(make: new (length: number) => Numbers) {
    this.#make = make;
  }

  /** Returns the part of a page. Its numbers were 0 at first. The page is at `page % PART_PAGES` in it. */
  partOf(page: number): Numbers {
    const number = Math.floor(page / PART_PAGES);
    if (number === this.#number) return this.#part as Numbers;
    let part = this.#parts.get(number);
    if (!part) {
      part = new this.#make(PART_PAGES);
      this.#parts.set(number, part);
    }
    this.#number = number;
    this.#part = part;
    return part;
  }

  /** Returns the parts, lowest first, with the first page of each. */
  parts(): Array<[page: number, part: Numbers]> {
    const numbers = [...this.#parts.keys()].sort((a, b) => a - b);
    return numbers.map((number) => [number * PART_PAGES, this.#parts.get(number) as Numbers]);
  }

  /** Returns the number of a page. */
  get(page: number): number {
    return this.partOf(page)[page % PART_PAGES];
  }

  /** Sets the number of each page in [start, end). */
  fill(start: number, end: number, value: number): void {
    for (let page = start; page < end; ) {
      const part = this.partOf(page);
      const from = page % PART_PAGES;
      const stop = Math.min(PART_PAGES, from + end - page);
      part.fill(value, from, stop);
      page += stop - from;
    }
  }
}
