// Malloc logs of our own as NDJSON: a JSON object a line. JSON.parse reads them, since escapes, nesting and any order
// of keys would cost a parser of our own most of its gain.

import type { Lines } from "../../source/lines.ts";
import { ADDRESS_EXPECTED, note, OP_EXPECTED, OPS, pointerOf, Threads } from "./own.ts";
import type { Text } from "./text.ts";

type Fields = Readonly<Record<string, unknown>>;

export const ndjson: Text = {
  recognises: (line) => line.startsWith("{") && /"op"\s*:/.test(line) && /"address"\s*:/.test(line),
  parser(lines, ledger) {
    const threads = new Threads();
    return () => {
      const fields = objectOf(lines);
      const op = typeof fields.op === "string" ? OPS[fields.op] : undefined;
      if (!op) throw lines.error(OP_EXPECTED);
      const time = numberOf(lines, fields, "time", "ns");
      if (time < 0) throw lines.error("a time in ns");
      const address = addressOf(lines, fields, "address");
      if (address < 0) throw lines.error("an address");
      const bytes = numberOf(lines, fields, "bytes", "bytes");
      const old = addressOf(lines, fields, "old");
      const { thread } = fields;
      if (thread !== undefined && typeof thread !== "number" && typeof thread !== "string") {
        throw lines.error("a thread that is a number or a string");
      }
      const proc = thread === undefined ? -1 : threads.numberOf(String(thread));
      note(ledger, lines, { time, op, address, bytes, old, thread: proc });
    };
  },
};

function objectOf(lines: Lines): Fields {
  let value: unknown;
  try {
    value = JSON.parse(lines.text());
  } catch {
    throw lines.error("a JSON object");
  }
  if (typeof value !== "object" || value === null) throw lines.error("a JSON object");
  return value as Fields;
}

/** Returns a number, or one that is a decimal string; -1 if there is none. */
function numberOf(lines: Lines, fields: Fields, name: string, unit: string): number {
  const value = fields[name];
  if (value === undefined) return -1;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  if (typeof value === "string" && /^\d+$/.test(value)) return Number(value);
  throw lines.error(`${name} in ${unit}, an integer from 0, as a number or a decimal string`);
}

/** Returns an address; -1 if there is none. */
function addressOf(lines: Lines, fields: Fields, name: string): number {
  const value = fields[name];
  if (value === undefined) return -1;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  if (typeof value === "string" && /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(value)) {
    const address = pointerOf(value);
    if (address < Infinity) return address;
    throw lines.error(`${name}, ${ADDRESS_EXPECTED}`);
  }
  throw lines.error(`${name}, a string of hex with 0x or of decimal digits, or a number below 2^53`);
}
