// Virtual time: what is to happen when.

/** Something to happen at a time. */
interface Wake {
  readonly time: number;
  /** Those of the same time happen in this order. */
  readonly order: number;
  readonly call: () => void;
  isOff: boolean;
}

/** Calls that wait for their time, in a binary heap. */
export class Clock {
  /** The current time in ns. */
  now = 0;
  readonly #wakes: Wake[] = [];
  #order = 0;

  /** Time of the next call; Infinity if there is none. */
  get next(): number {
    return this.#wakes[0]?.time ?? Infinity;
  }

  /** Has a call made at a time. Returns a function that calls it off. */
  at(time: number, call: () => void): () => void {
    const wake: Wake = { time, order: this.#order++, call, isOff: false };
    const wakes = this.#wakes;
    let i = wakes.push(wake) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(wake, wakes[parent])) break;
      wakes[i] = wakes[parent];
      i = parent;
    }
    wakes[i] = wake;
    return () => {
      wake.isOff = true;
    };
  }

  /** Makes all calls of before a time, also those that they ask for. The clock shows the time of each. */
  runBefore(time: number): void {
    while (this.next < time) this.#callNext();
  }

  /** Makes all calls of up to a time, in the same way. */
  runUpTo(time: number): void {
    while (this.next <= time) this.#callNext();
  }

  #callNext(): void {
    const wake = this.#take();
    if (wake.isOff) return;
    this.now = Math.max(this.now, wake.time);
    wake.call();
  }

  /** Removes the next call. */
  #take(): Wake {
    const wakes = this.#wakes;
    const [first] = wakes;
    const last = wakes.pop() as Wake;
    if (wakes.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= wakes.length) break;
      if (child + 1 < wakes.length && isBefore(wakes[child + 1], wakes[child])) child++;
      if (!isBefore(wakes[child], last)) break;
      wakes[i] = wakes[child];
      i = child;
    }
    wakes[i] = last;
    return first;
  }
}

function isBefore(a: Wake, b: Wake): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}
