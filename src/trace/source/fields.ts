// Parses the fields of a line in place, without a string for each.

import type { Lines } from "./lines.ts";

const SPACE = 0x20;
const TAB = 0x09;
const ZERO = 0x30;
const SMALL_X = 0x78;

/** Decimal digits that always fit in 2^53. */
const EXACT_DIGITS = 15;
/** Decimal digits of the lower part of a longer number, and of the longest number. */
const LOW_DIGITS = 9;
const MOST_DIGITS = 19;
/** Hex digits of 64 bits. */
const MOST_HEX_DIGITS = 16;

/** Passes over spaces and tabs. */
export function skipBlanks(line: Lines): void {
  const { bytes, end } = line;
  let at = line.position;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  line.position = at;
}

/** Passes over a byte, if it is the next. Returns whether it is. */
export function skipByte(line: Lines, byte: number): boolean {
  if (line.position >= line.end || line.bytes[line.position] !== byte) return false;
  line.position++;
  return true;
}

/** Passes over a word in ASCII, if it is next. Returns whether it is. */
export function skipWord(line: Lines, word: Uint8Array): boolean {
  const { bytes, position } = line;
  if (line.end - position < word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[position + i] !== word[i]) return false;
  line.position = position + word.length;
  return true;
}

/** Returns a word's bytes in ASCII. */
export function ascii(word: string): Uint8Array {
  return Uint8Array.from(word, (character) => character.charCodeAt(0));
}

/**
 * Parses a decimal number, and passes over it. It is exact up to 2^53, and the nearest number up to 10^19; above that,
 * Infinity. -1 if there is no digit.
 */
export function decimal(line: Lines): number {
  const { bytes, end, position } = line;
  let at = position;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9) break;
    value = 10 * value + digit;
  }
  line.position = at;
  if (at - position <= EXACT_DIGITS) return at === position ? -1 : value;
  return longDecimal(bytes, position, at);
}

/** Parses a decimal number whose digits may not fit in 2^53. */
function longDecimal(bytes: Uint8Array, start: number, end: number): number {
  let first = start;
  while (first < end && bytes[first] === ZERO) first++;
  if (end - first > MOST_DIGITS) return Infinity;
  // The upper part times 10^9 is exact, as 10^9 is a multiple of 2^9. So the sum alone is rounded.
  let high = 0;
  let low = 0;
  for (let i = first; i < end - LOW_DIGITS; i++) high = 10 * high + bytes[i] - ZERO;
  for (let i = Math.max(first, end - LOW_DIGITS); i < end; i++) low = 10 * low + bytes[i] - ZERO;
  return high * 1e9 + low;
}

/** Parses a hex number with or without 0x, and passes over it. Exact up to 2^53. -1 if there is no digit. */
export function hex(line: Lines): number {
  return hexBits(line, 0xffff_ffff);
}

/**
 * Parses a hex address with or without 0x, and passes over it. Its top byte is cleared, as some processors ignore it
 * and programs keep a tag there. Exact up to 2^53. -1 if there is no digit.
 */
export function pointer(line: Lines): number {
  return hexBits(line, 0x00ff_ffff);
}

/** Parses a hex number. Infinity if it does not fit in 64 bits. `highMask` says which of its upper 32 bits count. */
function hexBits(line: Lines, highMask: number): number {
  const { bytes, end } = line;
  let at = line.position;
  if (
    at + 2 < end &&
    bytes[at] === ZERO &&
    (bytes[at + 1] | 0x20) === SMALL_X &&
    hexDigit(bytes[at + 2]) >= 0
  )
    at += 2;
  const start = at;
  let high = 0;
  let low = 0;
  for (; at < end; at++) {
    const digit = hexDigit(bytes[at]);
    if (digit < 0) break;
    high = (high << 4) | (low >>> 28);
    low = (low << 4) | digit;
  }
  line.position = at;
  if (at - start > MOST_HEX_DIGITS) return Infinity;
  return at === start ? -1 : ((high & highMask) >>> 0) * 2 ** 32 + (low >>> 0);
}

/** Returns the value of a hex digit; -1 if it is none. */
function hexDigit(byte: number): number {
  const digit = byte - ZERO;
  if (digit >= 0 && digit <= 9) return digit;
  const letter = (byte | 0x20) - 0x61;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}
