// What the CSV and the NDJSON of malloc logs have in common: calls with the fields time, op, address, bytes, old and
// thread. docs/traces.md describes both.

import type { Lines } from "../../source/lines.ts";
import type { Ledger } from "./ledger.ts";

/** What a call does. */
export type Op = "malloc" | "free" | "realloc";

/** The names that `op` can have. */
export const OPS: Readonly<Record<string, Op>> = {
  __proto__: null as never,
  malloc: "malloc",
  free: "free",
  realloc: "realloc",
  calloc: "malloc",
  memalign: "malloc",
  posix_memalign: "malloc",
  aligned_alloc: "malloc",
  valloc: "malloc",
  new: "malloc",
  delete: "free",
};

export const OP_EXPECTED = `an op: ${Object.keys(OPS).join(", ")}`;

/** Bits of an address below the tag that some processors ignore. */
const POINTER_BITS = 56;
/** Characters of an address that is exact as a number: 0x and 13 digits, or 15 decimal digits. */
const EXACT_CHARACTERS = 15;
/** Characters of the longest address: 20 decimal digits. */
const MOST_CHARACTERS = 20;
/** Addresses are below this with their tags. */
const ADDRESS_END = 2n ** 64n;
export const ADDRESS_EXPECTED = "an address below 2^64";
/** Highest id of a thread that is kept. */
export const MOST_THREAD = 2 ** 31 - 1;

/** A call of a log. A number is -1 if the log leaves it out. */
export interface Call {
  time: number;
  op: Op;
  address: number;
  bytes: number;
  old: number;
  thread: number;
}

/** Notes a call. Throws PageAllocError ERR_TRACE when a field is missing that the op needs. */
export function note(ledger: Ledger, lines: Lines, { time, op, address, bytes, old, thread }: Call): void {
  const offset = lines.lineOffset;
  ledger.time = time;
  ledger.thread = thread;
  if (op === "free") {
    ledger.free(address, offset);
    return;
  }
  if (bytes < 0) throw lines.error(`bytes, as ${op} needs them`);
  if (op === "malloc") ledger.alloc(address, bytes, offset);
  else if (old < 0) throw lines.error("old, the address before, as realloc needs it");
  else ledger.realloc(old, address, bytes, offset);
}

/** Returns an address of any 64 bits, in decimal or with 0x, without its tag. Infinity for one of more bits. */
export function pointerOf(text: string): number {
  if (text.length <= EXACT_CHARACTERS) return Number(text);
  const significant = text.replace(/^0+(?=\d)/, "");
  if (significant.length > MOST_CHARACTERS) return Infinity;
  const address = BigInt(significant);
  return address < ADDRESS_END ? Number(BigInt.asUintN(POINTER_BITS, address)) : Infinity;
}

/** Numbers threads whose ids are no numbers of 31 bits, in the order in which they appear. */
export class Threads {
  readonly #numbers = new Map<string, number>();

  /** Returns the number of a thread. */
  numberOf(id: string): number {
    const own = /^\d{1,10}$/.test(id) ? Number(id) : Infinity;
    if (own <= MOST_THREAD) return own;
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(id, number);
    return number;
  }
}
