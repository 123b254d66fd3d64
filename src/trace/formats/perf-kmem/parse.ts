// Parses the lines that `perf script` prints for the kernel's page events:
//
//     COMM TID [CPU] SECONDS: kmem:mm_page_alloc: page=… pfn=PFN order=ORDER migratetype=… gfp_flags=…
//     COMM TID [CPU] SECONDS: kmem:mm_page_free: page=… pfn=PFN order=ORDER
//
// A PFN is the number of a physical page, in hex with 0x, or decimal from old kernels. COMM may have blanks, so what is
// before the event is parsed backward.

import { ascii, decimal, hex, skipWord } from "../../source/fields.ts";
import type { Lines } from "../../source/lines.ts";

const SPACE = 0x20;
const TAB = 0x09;
const SLASH = 0x2f;
const ZERO = 0x30;
const COLON = 0x3a;
const POINT = 0x2e;
const SMALL_K = 0x6b;
const OPEN = 0x5b;
const CLOSE = 0x5d;

const EVENT = ascii("kmem:mm_page_");
const ALLOC = ascii("alloc: ");
const FREE = ascii("free: ");
const BATCHED = ascii("free_batched: ");
const PFN = ascii(" pfn=");
const ORDER = ascii(" order=");
const NULLS = [ascii("(null)"), ascii("(nil)")];

/** Physical pages must be below this, so that addresses are below 2^48. */
const PFN_LIMIT = 2 ** 36;
/** Most pages of an event have this order. Kernels know 13 at most. */
const MOST_ORDER = 20;
const MOST_THREAD = 2 ** 31 - 1;
const SECOND_DIGITS = 9;

/** A line of a page event. */
export interface PageEvent {
  /** In ns. */
  time: number;
  /** Thread that did it; -1 if the line does not say. */
  thread: number;
  isAlloc: boolean;
  /** Number of the first page; 0 if there is none, since the allocation failed. */
  pfn: number;
  /** Logarithm of the number of pages. */
  order: number;
}

/** Parses a line into `event`. Returns whether it is a page event. Throws PageAllocError ERR_TRACE if it is bad. */
export function parseLine(lines: Lines, event: PageEvent): boolean {
  const start = lines.position;
  if (!find(lines, EVENT, SMALL_K)) return false;
  const name = lines.position - EVENT.length;
  const isAlloc = skipWord(lines, ALLOC);
  if (!isAlloc && !skipWord(lines, FREE) && !skipWord(lines, BATCHED)) return false;
  const fields = lines.position;
  parseTime(lines, start, name, event);
  lines.position = fields;
  event.isAlloc = isAlloc;
  const pfnAt = lines.position;
  event.pfn = parsePfn(lines);
  if (!find(lines, ORDER, SPACE)) throw lines.error("order=");
  const { position } = lines;
  event.order = decimal(lines);
  if (event.order < 0 || event.order > MOST_ORDER) {
    lines.position = position;
    throw lines.error(`an order from 0 to ${MOST_ORDER}`);
  }
  if (event.pfn + 2 ** event.order > PFN_LIMIT) {
    lines.position = pfnAt;
    throw lines.error("pages below 2^36");
  }
  return true;
}

/** Goes to the byte after the next such word. Returns whether there is one. */
function find(lines: Lines, word: Uint8Array, first: number): boolean {
  const { bytes, end } = lines;
  for (let at = lines.position; at < end; at++) {
    if (bytes[at] !== first) continue;
    lines.position = at;
    if (skipWord(lines, word)) return true;
  }
  lines.position = end;
  return false;
}

function parsePfn(lines: Lines): number {
  if (!find(lines, PFN, SPACE)) throw lines.error("pfn=");
  const { bytes, position } = lines;
  if (NULLS.some((word) => skipWord(lines, word))) return 0;
  const pfn = bytes[position] === ZERO ? hex(lines) : decimal(lines);
  if (pfn >= 0) return pfn;
  throw lines.error("the number of a page");
}

/** Parses the time and the thread, which end before the event's name. */
function parseTime(lines: Lines, start: number, name: number, event: PageEvent): void {
  const { bytes } = lines;
  let at = skipBack(bytes, start, name);
  lines.position = at;
  if (at === start || bytes[at - 1] !== COLON)
    throw lines.error("a time in seconds and a colon before the event");
  at--;
  while (at > start && (isDigit(bytes[at - 1]) || bytes[at - 1] === POINT)) at--;
  lines.position = at;
  const seconds = decimal(lines);
  if (seconds < 0) throw lines.error("a time in seconds");
  event.time = seconds * 1e9 + fraction(lines);
  event.thread = -1;
  // perf script can be told to leave out the CPU, and then where the thread stands is not known.
  at = skipBack(bytes, start, at);
  if (at === start || bytes[at - 1] !== CLOSE) return;
  while (at > start && bytes[at] !== OPEN) at--;
  const end = skipBack(bytes, start, at);
  at = end;
  while (at > start && isDigit(bytes[at - 1])) at--;
  if (at === end || (at > start && bytes[at - 1] !== SPACE && bytes[at - 1] !== SLASH)) return;
  lines.position = at;
  const thread = decimal(lines);
  if (thread <= MOST_THREAD) event.thread = thread;
}

/** Parses what is after the point of a number of seconds, in ns. */
function fraction(lines: Lines): number {
  if (lines.bytes[lines.position] !== POINT) return 0;
  lines.position++;
  const { position } = lines;
  const value = decimal(lines);
  const digits = lines.position - position;
  if (digits >= 1 && digits <= SECOND_DIGITS) return value * 10 ** (SECOND_DIGITS - digits);
  lines.position = position;
  throw lines.error("1 to 9 digits of a second");
}

/** Returns the index after the last byte before `at` that is not blank. */
function skipBack(bytes: Uint8Array, start: number, at: number): number {
  let before = at;
  while (before > start && (bytes[before - 1] === SPACE || bytes[before - 1] === TAB)) before--;
  return before;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}
