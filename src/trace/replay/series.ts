// The state of the heap over time, at some of the events.

/** One point per sample: its time in ns, on the recording machine's clock, and bytes. */
export interface Series {
  time: Float64Array;
  inUse: Float64Array;
  retained: Float64Array;
  sys: Float64Array;
}

/**
 * Takes samples. If the number of events is known, they are spread evenly over the events. Otherwise one is taken every
 * so many events. Whenever there is no room for another, every second one is dropped. A sample is requested after its
 * event, and settled once the heap has replayed it.
 */
export class Sampler {
  readonly #series: Series;
  readonly #most: number;
  readonly #total: number | undefined;
  #requested = 0;
  #settled = 0;
  /** If the number of events is not known: events from one sample to the next. */
  #stride = 1;

  /**
   * @param most most samples
   * @param total number of events; undefined if it is not known
   */
  constructor(most: number, total: number | undefined) {
    this.#total = total;
    this.#most = total === undefined ? most : Math.min(most, total);
    this.#series = makeSeries(this.#most);
  }

  /** Number of events after which the next sample is due; Infinity if none is. */
  get next(): number {
    if (this.#requested === this.#most) return Infinity;
    const number = this.#requested + 1;
    return this.#total === undefined
      ? number * this.#stride
      : Math.floor((number * this.#total) / this.#most);
  }

  /** Number of samples that were requested, but not settled. */
  get pending(): number {
    return this.#requested - this.#settled;
  }

  /** Whether `thin` has to be called. All samples must be settled then. */
  get full(): boolean {
    return this.#total === undefined && this.#most > 0 && this.#requested === this.#most;
  }

  /** Requests a sample. */
  request(time: number, inUse: number): void {
    this.#series.time[this.#requested] = time;
    this.#series.inUse[this.#requested++] = inUse;
  }

  /** Settles the oldest sample that is pending. */
  settle(retained: number, sys: number): void {
    this.#series.retained[this.#settled] = retained;
    this.#series.sys[this.#settled++] = sys;
  }

  /** Drops every second sample. From now on, samples are twice as far apart. */
  thin(): void {
    const kept = Math.floor(this.#requested / 2);
    for (const column of Object.values(this.#series)) {
      for (let i = 0; i < kept; i++) column[i] = column[2 * i + 1];
    }
    this.#requested = kept;
    this.#settled = kept;
    this.#stride *= 2;
  }

  /** Whether the state after the last event is missing. It has to be requested and settled then. */
  lacksLast(events: number): boolean {
    return this.#total === undefined && this.#most > 0 && events > this.#requested * this.#stride;
  }

  /** Returns the samples. */
  take(): Series {
    const { time, inUse, retained, sys } = this.#series;
    const upTo = (column: Float64Array) => column.slice(0, this.#settled);
    return { time: upTo(time), inUse: upTo(inUse), retained: upTo(retained), sys: upTo(sys) };
  }
}

function makeSeries(length: number): Series {
  return {
    time: new Float64Array(length),
    inUse: new Float64Array(length),
    retained: new Float64Array(length),
    sys: new Float64Array(length),
  };
}
