// Counts objects by size.

import type { ObjectCounts } from "../../events.ts";
import { NO_CLASS } from "./records.ts";

/** Bytes per object, by Go's size classes. A span of class 0 has one object, which is as large as the span. */
// biome-ignore format: a table
const CLASS_BYTES = [
  0, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416,
  448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200, 3456,
  4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432,
  19072, 20480, 21760, 24576, 27264, 28672, 32768,
];

/** What happened to an object. */
export type ObjectEvent = "existing" | "allocs" | "frees";

/** Counts of objects. */
export class ObjectSizes {
  readonly #pageSize: number;
  /** Size class by the first page of a span. */
  readonly #classes = new Map<number, number>();
  readonly #counts = new Map<number, Record<ObjectEvent, number>>();

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  /** Sets the size class of the span that starts at a page: 0 to CLASSES - 1, or NO_CLASS. */
  setClass(page: number, sizeClass: number): void {
    this.#classes.set(page, sizeClass);
  }

  /** The span that starts at a page is no more. */
  forgetClass(page: number): void {
    this.#classes.delete(page);
  }

  /** Counts an object in a span. Those in a span without a size class are passed over: their size is not known. */
  count(page: number, npages: number, event: ObjectEvent): void {
    const sizeClass = this.#classes.get(page) as number;
    if (sizeClass === NO_CLASS) return;
    const size = CLASS_BYTES[sizeClass] || npages * this.#pageSize;
    let counts = this.#counts.get(size);
    if (!counts) {
      counts = { existing: 0, allocs: 0, frees: 0 };
      this.#counts.set(size, counts);
    }
    counts[event]++;
  }

  /** Returns the counts, ascending by size. */
  take(): ObjectCounts {
    const rows = [...this.#counts].sort(([a], [b]) => a - b);
    const column = (event: ObjectEvent) => Float64Array.from(rows, ([, counts]) => counts[event]);
    return {
      length: rows.length,
      size: Float64Array.from(rows, ([size]) => size),
      existing: column("existing"),
      allocs: column("allocs"),
      frees: column("frees"),
    };
  }
}
