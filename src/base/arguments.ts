// Checks of arguments, shared by every public call. Each returns the value that it was given, so that a check
// reads as part of the assignment, and throws before anything has changed.

/** Shows a value in a message as its writer would have typed it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  return Object(value) === value ? Object.prototype.toString.call(value) : String(value);
}

/** Whether a value, of whatever type, is an integer from `min` to `max`, both included. */
export function isInteger(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

/** An integer from `min` to `max`, both included. Throws TypeError or RangeError. */
export function integer(name: string, value: number, min: number, max: number): number {
  if (isInteger(value, min, max)) return value;
  return refuse(name, value, `an integer from ${min} to ${max}`, "number");
}

/** An integer power of two from `min` to `max`, both included. Throws TypeError or RangeError. */
export function powerOfTwo(name: string, value: number, min: number, max: number): number {
  if (isInteger(value, min, max)) {
    // Bits tell at once; only what has more than 32 of them needs the logarithm.
    if (value < 2 ** 31 ? !(value & (value - 1)) : Number.isInteger(Math.log2(value))) return value;
  }
  return refuse(name, value, `a power of two from ${min} to ${max}`, "number");
}

/** A count without a limit: a non-negative integer, or Infinity. Throws TypeError or RangeError. */
export function countOrInfinity(name: string, value: number): number {
  if (value === Infinity || isInteger(value, 0, Number.MAX_SAFE_INTEGER)) return value;
  return refuse(name, value, `an integer from 0 to ${Number.MAX_SAFE_INTEGER}, or Infinity`, "number");
}

/** A 64-bit word: a bigint from 0 to 2n ** 64n - 1n. Throws TypeError or RangeError. */
export function word(name: string, value: bigint | undefined): bigint {
  if (typeof value === "bigint" && value >> 64n === 0n) return value;
  return refuse(name, value, "a bigint from 0n to 2n ** 64n - 1n", "bigint");
}

/**
 * The properties of an object that are known, each read once; none of them for undefined. Throws TypeError for what is
 * no object, and for one with an enumerable property of its own that is not known; where `open`, only for a function
 * whose name is nearly a known one's.
 */
export function readOptions<T extends object>(
  name: string,
  value: T | undefined,
  known: ReadonlyArray<keyof T & string>,
  open = false,
): Partial<T> {
  const given: Partial<T> = {};
  if (value === undefined) return given;
  if (typeof value !== "object" || !value || Array.isArray(value)) refuse(name, value, "an object");
  for (const key of Object.keys(value) as (keyof T & string)[]) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    if (open && !(near && typeof value[key] === "function")) continue;
    const hint = near ? `did you mean ${name}.${near}?` : `known are ${known.join(", ")}`;
    throw new TypeError(`${name}.${key} is unknown; ${hint}`);
  }
  for (const key of known) given[key] = value[key];
  return given;
}

/**
 * Which name somebody has probably meant, if any: that with the most letters in common, nearly all of them, in any
 * order.
 */
function nearest(key: string, names: readonly string[]): string | undefined {
  let least = 1.1 + key.length / 8;
  let near: string | undefined;
  for (const name of names) {
    let missing = name.toLowerCase();
    for (const letter of key.toLowerCase()) missing = missing.replace(letter, "");
    const edits = missing.length + Math.max(0, key.length - name.length);
    if (edits >= least) continue;
    least = edits;
    near = name;
  }
  return near;
}

/**
 * A view of a typed array, of the fixed length that it has now, whatever a subclass makes of its getters and methods;
 * it is of length 0 once its buffer has been detached, or shrunk below its end. Throws TypeError.
 */
export function viewOf<T>(
  name: string,
  value: T,
  View: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T,
): T {
  const own = (property: string | symbol) => Reflect.get(View.prototype, property, value);
  if (own(Symbol.toStringTag) !== View.name) refuse(name, value, `a ${View.name}`);
  try {
    // Does nothing but throw where the bytes are gone.
    View.prototype.keys.call(value);
    return new View(own("buffer"), own("byteOffset"), own("length"));
  } catch {
    throw bytesLost(name);
  }
}

/** The error for a typed array, and more to say, whose bytes are gone. */
export function bytesLost(name: string, more = ""): TypeError {
  return new TypeError(
    `${name} must keep its bytes, but its buffer has been detached, or shrunk below its end${more}`,
  );
}

/** The bytes that somebody has given, in a buffer of their own. Throws TypeError. */
export function copyBytes(name: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(viewOf(name, value, Uint8Array));
}

/** Says what is wrong with an argument: TypeError, but RangeError when it is of `type`, the one that was asked for. */
export function refuse(name: string, value: unknown, allowed: string, type = ""): never {
  const message = `${name} must be ${allowed}, got ${show(value)}`;
  throw typeof value === type ? new RangeError(message) : new TypeError(message);
}
