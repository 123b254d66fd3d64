// Malloc logs of our own as CSV: a line that names the columns, then a call a line.

import { ascii, decimal, pointer, skipByte, skipWord } from "../../source/fields.ts";
import type { Lines } from "../../source/lines.ts";
import {
  ADDRESS_EXPECTED,
  type Call,
  MOST_THREAD,
  note,
  OP_EXPECTED,
  OPS,
  type Op,
  pointerOf,
  Threads,
} from "./own.ts";
import type { Text } from "./text.ts";

const COMMA = 0x2c;
const QUOTE = 0x22;
const ZERO = 0x30;

/** The columns that are read. Others are passed over. */
const COLUMNS = ["time", "op", "address", "bytes", "old", "thread"];
const [TIME, OP, ADDRESS, BYTES, OLD] = COLUMNS.keys();
const OTHER = -1;
const NEEDED = ["time", "op", "address", "bytes"];

const OP_WORDS = Object.entries(OPS).map(([name, op]) => ({ word: ascii(name), op }));

export const csv: Text = {
  recognises(line) {
    const names = namesOf(line);
    return names.includes("time") && names.includes("op") && names.includes("address");
  },
  parser(lines, ledger) {
    const threads = new Threads();
    const call: Call = { time: -1, op: "free", address: -1, bytes: -1, old: -1, thread: -1 };
    let columns: readonly number[] | undefined;
    return () => {
      if (!columns) {
        columns = columnsOf(lines);
        return;
      }
      for (let i = 0; i < columns.length; i++) {
        if (i > 0 && !skipByte(lines, COMMA)) {
          throw lines.error(`a comma and ${COLUMNS[columns[i]] ?? "another field"}`);
        }
        parseField(lines, columns[i], call, threads);
      }
      if (lines.position < lines.end) throw lines.error("the end of the line");
      note(ledger, lines, call);
    };
  },
};

/** Returns the names in the line of columns. */
function namesOf(line: string): string[] {
  return line.split(",").map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
}

/** Returns, by field of a line, the index of its column in COLUMNS. */
function columnsOf(lines: Lines): number[] {
  const names = namesOf(lines.text());
  const missing = NEEDED.find((name) => !names.includes(name));
  if (missing)
    throw lines.error(`a column ${missing}; the columns are ${NEEDED.join(", ")}, and old and thread`);
  const twice = COLUMNS.find((name) => names.indexOf(name) !== names.lastIndexOf(name));
  if (twice) throw lines.error(`one column ${twice}`);
  return names.map((name) => COLUMNS.indexOf(name));
}

/** Parses a field into the call. */
function parseField(lines: Lines, column: number, call: Call, threads: Threads): void {
  if (column === OTHER) {
    skipField(lines);
    return;
  }
  const quoted = skipByte(lines, QUOTE);
  const { position } = lines;
  if (column === TIME) call.time = decimal(lines);
  else if (column === OP) call.op = opOf(lines);
  else if (column === ADDRESS) call.address = addressOf(lines);
  else if (column === BYTES) call.bytes = decimal(lines);
  else if (column === OLD) call.old = addressOf(lines);
  else call.thread = threadOf(lines, threads);
  if ((column === TIME || column === ADDRESS) && lines.position === position) {
    throw lines.error(column === TIME ? "a time in ns" : "an address, decimal or with 0x");
  }
  if (quoted && !skipByte(lines, QUOTE)) throw lines.error("a quote");
}

function opOf(lines: Lines): Op {
  const end = fieldEnd(lines);
  const { position } = lines;
  for (const { word, op } of OP_WORDS) {
    if (word.length === end - position && skipWord(lines, word)) return op;
  }
  throw lines.error(OP_EXPECTED);
}

/** Parses an address; -1 if the field is empty. */
function addressOf(lines: Lines): number {
  const { bytes, position } = lines;
  const isHex = bytes[position] === ZERO;
  let address = isHex ? pointer(lines) : decimal(lines);
  const end = lines.position;
  if (!isHex && address > Number.MAX_SAFE_INTEGER) {
    lines.position = position;
    address = pointerOf(lines.text(end));
  }
  if (address < Infinity) {
    lines.position = end;
    return address;
  }
  lines.position = position;
  throw lines.error(ADDRESS_EXPECTED);
}

/** Returns the number of a thread; -1 if the field is empty. */
function threadOf(lines: Lines, threads: Threads): number {
  const { position } = lines;
  const end = fieldEnd(lines);
  if (position === end) return -1;
  const number = decimal(lines);
  if (lines.position === end && number <= MOST_THREAD) return number;
  lines.position = position;
  const thread = threads.numberOf(lines.text(end));
  lines.position = end;
  return thread;
}

/** Returns the index of the next comma or quote. */
function fieldEnd({ bytes, position, end }: Lines): number {
  let at = position;
  while (at < end && bytes[at] !== COMMA && bytes[at] !== QUOTE) at++;
  return at;
}

/** Passes over a field. In quotes it may have commas, and quotes that are doubled. */
function skipField(lines: Lines): void {
  const { bytes, end } = lines;
  let isQuoted = false;
  let at = lines.position;
  for (; at < end && (isQuoted || bytes[at] !== COMMA); at++) if (bytes[at] === QUOTE) isQuoted = !isQuoted;
  lines.position = at;
}
