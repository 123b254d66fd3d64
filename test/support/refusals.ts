// Values that an argument must refuse, and the proof that a call did refuse them, in so many words, and did nothing.
import { same } from "./same.ts";

/** An object that would pass for a number or a bigint where it is converted. */
const convertible = (value: unknown) => ({ valueOf: () => value, toString: () => String(value) });

/** Values of every type but a number. */
export const NOT_NUMBERS: readonly unknown[] = [
  undefined,
  null,
  "1",
  "",
  true,
  1n,
  {},
  [1],
  () => 1,
  Symbol("one"),
  Object(1),
  convertible(1),
];
/** Values of every type but a bigint. */
export const NOT_BIGINTS: readonly unknown[] = [
  undefined,
  null,
  "1",
  true,
  1,
  {},
  [1n],
  () => 1n,
  Symbol("one"),
  Object(1n),
  convertible(1n),
];
/** Values that are no options, no heap, no state. */
export const NOT_OBJECTS: readonly unknown[] = [null, "x", true, 1, 1n, Symbol("x")];
/** Numbers that count nothing. */
export const NOT_COUNTS: readonly number[] = [NaN, -1, -0.5, 0.5, 1.5, -Infinity, 2 ** 53, 2 ** 64, 1e300];

/** A call, and what it must throw. */
export interface Refusal {
  /** A class, or the code of a PageAllocError. */
  error: typeof TypeError | typeof RangeError | string;
  /** What the message must name. */
  names: readonly string[];
}

/** Throws unless the call is refused just so. */
export function refused(call: () => unknown, { error, names }: Refusal, what: string): void {
  let thrown: unknown;
  let result: unknown;
  try {
    result = call();
  } catch (e) {
    thrown = e;
  }
  if (!(thrown instanceof Error)) throw new Error(`${what}: gave ${String(result)}, want an error`);
  check(thrown, { error, names }, what);
}

/** `refused`, of a call that gives a promise. */
export async function rejected(call: () => Promise<unknown>, refusal: Refusal, what: string): Promise<void> {
  const thrown = await call().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Error)) throw new Error(`${what}: was accepted, want an error`);
  check(thrown, refusal, what);
}

function check(thrown: Error & { code?: string }, { error, names }: Refusal, what: string): void {
  const kind = typeof error === "string" ? thrown.code : thrown.name;
  same(kind, typeof error === "string" ? error : error.name, `${what}: ${thrown.message}`);
  for (const name of names) {
    if (!thrown.message.includes(name)) throw new Error(`${what}: "${thrown.message}" does not name ${name}`);
  }
}

/** A value as its writer would have typed it; objects, which look alike, not at all. */
export function printed(value: unknown): string {
  if (typeof value === "object" && value !== null) return "";
  if (typeof value === "function") return "";
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "bigint" ? `${value}n` : String(value);
}
