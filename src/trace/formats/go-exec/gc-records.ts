// The records about the collector of one generation, and those of them that tell its cycles.
//
// Go counts the live bytes at each new span, and says when each sweep ends. That is a third of all events that are
// decoded, and most tell nothing. So they are kept apart, and are not put in order.

/** Kinds of records. `begin` and `end` are those of the marking. */
export const GcKind = { begin: 0, end: 1, sweepEnd: 2, heapAlloc: 3, heapGoal: 4 } as const;

/** Kinds of records other than the begin and the end of marking. */
const KINDS = 3;
const NONE = -1;
/** Records that there is room for at first. */
const FIRST_RECORDS = 2 ** 10;

/** A record, with its time and its value, which is bytes or 0. */
export interface GcRecord {
  readonly time: number;
  readonly kind: number;
  readonly value: number;
}

/** Records of one generation. */
export class GcRecords {
  #length = 0;
  #time = new Float64Array(FIRST_RECORDS);
  #kind = new Uint8Array(FIRST_RECORDS);
  #value = new Float64Array(FIRST_RECORDS);

  /** Adds a record. Throws RangeError when memory is full. */
  add(time: number, kind: number, value: number): void {
    const record = this.#length;
    if (record === this.#time.length) this.#grow();
    this.#time[record] = time;
    this.#kind[record] = kind;
    this.#value[record] = value;
    this.#length++;
  }

  /**
   * Returns the records in order of time, and forgets them. Between one begin or end of marking and the next, only the
   * first and the last of a kind are returned.
   *
   * @param tick what the time of a record is multiplied by
   */
  take(tick: number): GcRecord[] {
    const length = this.#length;
    const time = this.#time;
    const kind = this.#kind;
    const isKept = new Uint8Array(length);
    const marks: number[] = [];
    for (let i = 0; i < length; i++) if (kind[i] <= GcKind.end) marks.push(i);
    marks.sort((a, b) => this.#compare(a, b));
    for (const i of marks) isKept[i] = 1;
    // By the number of marks before, and by kind.
    const first = new Int32Array((marks.length + 1) * KINDS).fill(NONE);
    const last = first.slice();
    let row = 0;
    // Between these times all records are of the same row. One thread's follow each other.
    let from = Infinity;
    let to = -Infinity;
    for (let i = 0; i < length; i++) {
      if (kind[i] <= GcKind.end) continue;
      if (!(time[i] > from && time[i] < to)) {
        const before = this.#countBefore(marks, i);
        from = before === 0 ? -Infinity : time[marks[before - 1]];
        to = before === marks.length ? Infinity : time[marks[before]];
        row = before * KINDS;
      }
      const at = row + kind[i] - GcKind.sweepEnd;
      if (first[at] === NONE) first[at] = last[at] = i;
      else if (time[i] >= time[last[at]]) last[at] = i;
      else if (time[i] < time[first[at]]) first[at] = i;
    }
    for (const i of first) if (i !== NONE) isKept[i] = 1;
    for (const i of last) if (i !== NONE) isKept[i] = 1;
    const kept: number[] = [];
    for (let i = 0; i < length; i++) if (isKept[i] === 1) kept.push(i);
    kept.sort((a, b) => this.#compare(a, b));
    this.#length = 0;
    return kept.map((i) => ({ time: time[i] * tick, kind: kind[i], value: this.#value[i] }));
  }

  /** Compares two records by time. Those of the same time keep their order. */
  #compare(a: number, b: number): number {
    return this.#time[a] - this.#time[b] || a - b;
  }

  /** Returns how many of the marks, which are in order, come before a record. */
  #countBefore(marks: readonly number[], record: number): number {
    let low = 0;
    let high = marks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(marks[middle], record) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(): void {
    const length = 2 * this.#time.length;
    const time = new Float64Array(length);
    const kind = new Uint8Array(length);
    const value = new Float64Array(length);
    time.set(this.#time);
    kind.set(this.#kind);
    value.set(this.#value);
    this.#time = time;
    this.#kind = kind;
    this.#value = value;
  }
}
