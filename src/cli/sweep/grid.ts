// What a sweep runs: the product of all that is named.

/** A run of a sweep: one policy, on one trace, with one choice of each size. */
export interface RunSpec {
  /** Its place in the product, from 0. */
  readonly index: number;
  /** Its trace's place among those that were named. */
  readonly trace: number;
  /** As `parsePolicy` takes it. */
  readonly policy: string;
  /** In bytes; undefined for the default. */
  readonly pageSize: number | undefined;
  readonly physPageSize: number | undefined;
  readonly memoryLimit: number | undefined;
}

/** What is named: lists, the product of which is run. */
export interface Grid {
  /** How many traces there are. */
  readonly traces: number;
  readonly policies: readonly string[];
  readonly pageSizes: ReadonlyArray<number | undefined>;
  readonly physPageSizes: ReadonlyArray<number | undefined>;
  readonly memoryLimits: ReadonlyArray<number | undefined>;
}

/** Most runs of a sweep. */
const RUNS_MAX = 2 ** 20;
/** A range of numbers: from, to, and by what each is more than the one before, or how many times as much. */
const RANGE = /^(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)([+*])(\d+(?:\.\d+)?)$/;

/** Returns the runs of a grid, those of one trace together. Throws RangeError if there are too many. */
export function runsOf(grid: Grid): RunSpec[] {
  const { traces, policies, pageSizes, physPageSizes, memoryLimits } = grid;
  const count = [policies, pageSizes, physPageSizes, memoryLimits].reduce(
    (n, { length }) => n * length,
    traces,
  );
  if (count > RUNS_MAX) {
    throw new RangeError(`policy: a sweep must have at most ${RUNS_MAX} runs, got ${count}; name fewer`);
  }
  const runs: RunSpec[] = [];
  for (let trace = 0; trace < traces; trace++) {
    for (const policy of policies) {
      for (const pageSize of pageSizes) {
        for (const physPageSize of physPageSizes) {
          for (const memoryLimit of memoryLimits) {
            runs.push({ index: runs.length, trace, policy, pageSize, physPageSize, memoryLimit });
          }
        }
      }
    }
  }
  return runs;
}

/**
 * Returns the policies that a text names: an option may have several values, as in gogc=50|100|200, and a range of
 * numbers, as in dirtyDecayMs=1000..30000*2 or everyMs=10..50+10. Throws RangeError for a range without end.
 */
export function expandPolicy(text: string): string[] {
  const at = text.indexOf(":");
  if (at < 0) return [text];
  let names = [""];
  for (const option of text.slice(at + 1).split(",")) {
    const equals = option.indexOf("=");
    const values =
      equals < 0
        ? [option]
        : valuesOf(option.slice(equals + 1)).map((value) => option.slice(0, equals + 1) + value);
    names = names.flatMap((before) => values.map((value) => (before === "" ? value : `${before},${value}`)));
    if (names.length > RUNS_MAX)
      throw new RangeError(`policy ${text} names more than ${RUNS_MAX}; name fewer`);
  }
  return names.map((options) => `${text.slice(0, at)}:${options}`);
}

/** Returns the values that a text names. */
function valuesOf(text: string): string[] {
  return text.split("|").flatMap((value) => {
    const [, from, to, sign, by] = RANGE.exec(value) ?? [];
    return from === undefined ? [value] : rangeOf(value, Number(from), Number(to), sign === "*", Number(by));
  });
}

function rangeOf(text: string, from: number, to: number, isProduct: boolean, by: number): string[] {
  const grows = isProduct ? by > 1 && from > 0 : by > 0;
  if (!grows || to < from) {
    throw new RangeError(
      `policy: the range ${text} must go up: from a number, to one that is not less, by +n with n above 0, or by *n ` +
        "with n above 1 from a number above 0",
    );
  }
  const values: string[] = [];
  for (let i = 0; values.length <= RUNS_MAX; i++) {
    const value = isProduct ? from * by ** i : from + by * i;
    if (value > to) return values;
    values.push(String(Number(value.toPrecision(12))));
  }
  throw new RangeError(`policy: the range ${text} must have at most ${RUNS_MAX} numbers`);
}
