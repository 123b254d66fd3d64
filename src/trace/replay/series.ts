// The series of a replay: how much memory there was in the course of a trace.

/** One point a sample: when, in ns on the recording machine's clock, and bytes. */
export interface Series {
  time: Float64Array;
  inUse: Float64Array;
  retained: Float64Array;
  sys: Float64Array;
}

/** A series of that many points, all zero. */
export function makeSeries(length: number): Series {
  return {
    time: new Float64Array(length),
    inUse: new Float64Array(length),
    retained: new Float64Array(length),
    sys: new Float64Array(length),
  };
}
