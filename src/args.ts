// Checks of arguments, shared by every public call. Each returns the value that it was given, so that a check
// reads as part of the assignment, and throws before anything has changed.

/** Shows a value in a message as its writer would have typed it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  return Object(value) === value ? Object.prototype.toString.call(value) : String(value);
}

/** An integer from `min` to `max`, both included. Throws TypeError or RangeError. */
export function integer(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  return refuse(name, value, `an integer from ${min} to ${max}`);
}

/** An integer power of two from `min` to `max`, both included. Throws TypeError or RangeError. */
export function powerOfTwo(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && value >= min && value <= max) {
    // Bits tell at once; only what has more than 32 of them needs the logarithm.
    if (
      value < 2 ** 31 ? Number.isInteger(value) && !(value & (value - 1)) : Number.isInteger(Math.log2(value))
    ) {
      return value;
    }
  }
  return refuse(name, value, `a power of two from ${min} to ${max}`);
}

/** A count of bytes: a non-negative integer, or Infinity for no limit. Throws TypeError or RangeError. */
export function byteCount(name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && (Number.isSafeInteger(value) || value === Infinity))
    return value;
  return refuse(name, value, "a non-negative integer, or Infinity");
}

/** A 64-bit word: a bigint from 0 to 2n ** 64n - 1n. Throws TypeError or RangeError. */
export function word(name: string, value: unknown): bigint {
  if (typeof value === "bigint" && value >= 0n && value >> 64n === 0n) return value;
  return refuse(name, value, "a bigint from 0n to 2n ** 64n - 1n", "bigint");
}

/** An object that is neither null nor an array, or undefined. Throws TypeError. */
export function optionalObject<T extends object>(name: string, value: T | undefined): Partial<T> {
  if (value === undefined) return {};
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new TypeError(`${name} must be an object or undefined, got ${show(value)}`);
}

/** Says what is wrong with an argument: TypeError, but RangeError when it is of the one type that was asked for. */
export function refuse(name: string, value: unknown, allowed: string, type = "number"): never {
  const message = `${name} must be ${allowed}, got ${show(value)}`;
  throw typeof value === type ? new RangeError(message) : new TypeError(message);
}
