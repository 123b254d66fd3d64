// Argument checks, shared by all public calls. Each returns the value that it checks, so that a check reads as part of
// an assignment. Calls check their arguments before they change anything.

/** Returns a value as source text, for messages. Objects are shown by their type only. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  return Object(value) === value ? Object.prototype.toString.call(value) : String(value);
}

/** Reports whether a value of any type is an integer from `min` to `max`, both inclusive. */
export function isInteger(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

/** Checks for an integer from `min` to `max`, both inclusive. Throws TypeError or RangeError. */
export function integer(name: string, value: number, min: number, max: number): number {
  if (isInteger(value, min, max)) return value;
  return refuse(name, value, `an integer from ${min} to ${max}`, "number");
}

/** Checks for a power of two from `min` to `max`, both inclusive. Throws TypeError or RangeError. */
export function powerOfTwo(name: string, value: number, min: number, max: number): number {
  if (isInteger(value, min, max)) {
    // Bitwise operators work on 32 bits. Larger values need the logarithm.
    if (value < 2 ** 31 ? !(value & (value - 1)) : Number.isInteger(Math.log2(value))) return value;
  }
  return refuse(name, value, `a power of two from ${min} to ${max}`, "number");
}

/** Checks for a non-negative integer or Infinity. Throws TypeError or RangeError. */
export function countOrInfinity(name: string, value: number): number {
  if (value === Infinity || isInteger(value, 0, Number.MAX_SAFE_INTEGER)) return value;
  return refuse(name, value, `an integer from 0 to ${Number.MAX_SAFE_INTEGER}, or Infinity`, "number");
}

/** Checks for a 64-bit word: a bigint from 0n to 2n ** 64n - 1n. Throws TypeError or RangeError. */
export function word(name: string, value: bigint | undefined): bigint {
  if (typeof value === "bigint" && value >> 64n === 0n) return value;
  return refuse(name, value, "a bigint from 0n to 2n ** 64n - 1n", "bigint");
}

/**
 * Reads the known properties of an options object, each once. Returns an empty object for undefined. Throws TypeError
 * for a value that is not an object, and for an unknown own property. If `open` is set, unknown properties are allowed,
 * except functions whose name looks like a misspelt known one.
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
    const hint = near ? `did you mean ${name}.${near}?` : `known: ${known.join(", ")}`;
    throw new TypeError(`${name}.${key} is unknown; ${hint}`);
  }
  for (const key of known) given[key] = value[key];
  return given;
}

/** Returns the name that `key` is probably a misspelling of: the one that shares nearly all letters, in any order. */
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
 * Returns a view of a typed array that keeps the array's current length. Getters and methods of subclasses are not
 * called. The view's length becomes 0 if the buffer is detached or shrinks below the view's end. Throws TypeError.
 */
export function viewOf<T>(
  name: string,
  value: T,
  View: new (buffer: ArrayBufferLike, byteOffset: number, length: number) => T,
): T {
  const own = (property: string | symbol) => Reflect.get(View.prototype, property, value);
  if (own(Symbol.toStringTag) !== View.name) refuse(name, value, `a ${View.name}`);
  try {
    // Throws if the bytes are gone; has no other effect.
    View.prototype.keys.call(value);
    return new View(own("buffer"), own("byteOffset"), own("length"));
  } catch {
    throw bytesLost(name);
  }
}

/** Returns the error for a typed array whose bytes are gone. `more` ends its message. */
export function bytesLost(name: string, more = ""): TypeError {
  return new TypeError(
    `${name} must keep its bytes, but its buffer was detached or has shrunk below its end${more}`,
  );
}

/** Copies a Uint8Array into a buffer of its own. Throws TypeError. */
export function copyBytes(name: string, value: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(viewOf(name, value, Uint8Array));
}

/** Throws RangeError if the value has the expected `type` (as `typeof` says it), else TypeError. */
export function refuse(name: string, value: unknown, allowed: string, type = ""): never {
  const message = `${name} must be ${allowed}, got ${show(value)}`;
  throw typeof value === type ? new RangeError(message) : new TypeError(message);
}
