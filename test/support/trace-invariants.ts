// What holds for every trace that a reader gives out.
import { expect } from "vitest";

const ALLOC = 1;
const FREE = 2;
const EXISTS = 4;

/** The columns that are checked. */
interface Columns {
  readonly pageSize?: number;
  readonly length: number;
  readonly time: Float64Array;
  readonly kind: Uint8Array;
  readonly base: Float64Array;
  readonly npages: Uint32Array;
}

/**
 * Checks that times ascend, that pages lie where pages can, that none is allocated twice, and that none is freed unless
 * it is in use. A free may be for a part of what was allocated. Returns the number of pages in use at the end.
 */
export function checkInvariants({ pageSize = 8192, length, time, kind, base, npages }: Columns): number {
  /** The ranges in use, [first page, page after the last], in order. */
  const live: [number, number][] = [];
  for (let i = 0; i < length; i++) {
    const start = base[i] / pageSize;
    const end = start + npages[i];
    const what = `event ${i}, kind ${kind[i]}, base 0x${base[i].toString(16)}, npages ${npages[i]}`;
    if (i > 0 && !(time[i] >= time[i - 1])) expect.fail(`${what}: time goes back`);
    if (!Number.isInteger(start) || start < 0 || end <= start || end * pageSize > 2 ** 48)
      expect.fail(`${what}: impossible`);
    const at = firstEndingAfter(live, start);
    if (kind[i] === ALLOC || kind[i] === EXISTS) {
      if (at < live.length && live[at][0] < end) expect.fail(`${what}: allocated twice`);
      live.splice(at, 0, [start, end]);
    } else if (kind[i] === FREE) free(live, at, start, end, what);
  }
  return live.reduce((sum, [start, end]) => sum + end - start, 0);
}

function firstEndingAfter(live: readonly [number, number][], page: number): number {
  let low = 0;
  let high = live.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (live[middle][1] <= page) low = middle + 1;
    else high = middle;
  }
  return low;
}

function free(live: [number, number][], at: number, start: number, end: number, what: string): void {
  let count = 0;
  const left: [number, number][] = [];
  for (let page = start; page < end; count++) {
    const range = live[at + count];
    if (!range || range[0] > page) expect.fail(`${what}: page ${page} is freed, but not in use`);
    if (range[0] < start) left.push([range[0], start]);
    if (range[1] > end) left.push([end, range[1]]);
    page = range[1];
  }
  live.splice(at, count, ...left);
}
