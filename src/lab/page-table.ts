// Numbers for the pages of a heap, of which few may be touched.

/** Pages of a part. */
export const PART_PAGES = 2 ** 10;
const PER_PAGE = 1 / PART_PAGES;

/** Returns where a page is in its part. The remainder of a division would take ten times as long. */
export function indexOf(page: number): number {
  return (page - Math.floor(page * PER_PAGE) * PART_PAGES) | 0;
}

/** An array for each part that is touched: of 1,024 pages, the first of which is a multiple of that. */
export class PageTable<Numbers extends Float64Array | Int32Array | Uint8Array | Uint16Array> {
  readonly #make: new (
    length: number,
  ) => Numbers;
  /** The parts from number #first on. There may be gaps. */
  #parts: Numbers[] = [];
  #first = -1;

  constructor(make: new (length: number) => Numbers) {
    this.#make = make;
  }

  /** Returns the part of a page. Its numbers were 0 at first. The page is at `indexOf(page)` in it. */
  partOf(page: number): Numbers {
    const number = Math.floor(page * PER_PAGE);
    return this.#parts[(number - this.#first) | 0] ?? this.#add(number);
  }

  #add(number: number): Numbers {
    if (this.#first < 0) this.#first = number;
    if (number < this.#first) {
      const moved: Numbers[] = [];
      this.#parts.forEach((part, i) => {
        moved[i + this.#first - number] = part;
      });
      this.#parts = moved;
      this.#first = number;
    }
    const part = new this.#make(PART_PAGES);
    this.#parts[number - this.#first] = part;
    return part;
  }

  /** Returns the parts, lowest first, with the first page of each. */
  parts(): Array<[page: number, part: Numbers]> {
    const found: Array<[number, Numbers]> = [];
    this.#parts.forEach((part, i) => {
      found.push([(this.#first + i) * PART_PAGES, part]);
    });
    return found;
  }

  /** Returns the number of a page. */
  get(page: number): number {
    return this.partOf(page)[indexOf(page)];
  }

  /** Sets the number of each page in [start, end). */
  fill(start: number, end: number, value: number): void {
    for (let page = start; page < end; ) {
      const part = this.partOf(page);
      const from = indexOf(page);
      const stop = Math.min(PART_PAGES, from + end - page);
      // Most runs are short, and to call fill for those would take longer.
      for (let i = from; i < stop; i++) part[i] = value;
      page += stop - from;
    }
  }
}
