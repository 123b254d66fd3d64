// The Pareto front of a sweep: the runs of a trace that no other beats in both retained memory and cost.

/** What is compared. */
export interface Point {
  readonly traceHash: string;
  readonly retainedMeanBytes: number;
  readonly costNs: number;
}

/** Reports whether no other run of the same trace is better in one of the two, and not worse in the other. */
export function isOnFront(point: Point, all: readonly Point[]): boolean {
  return !all.some(
    (other) =>
      other.traceHash === point.traceHash &&
      other.retainedMeanBytes <= point.retainedMeanBytes &&
      other.costNs <= point.costNs &&
      (other.retainedMeanBytes < point.retainedMeanBytes || other.costNs < point.costNs),
  );
}
