// Comparisons for loops that make thousands of them: `expect` costs microseconds even when it holds.

/** Throws, saying `what`, unless both print as the same JSON. */
export function same(got: unknown, want: unknown, what: string | (() => string)): void {
  if (got === want) return;
  const [g, w] = [printed(got), printed(want)];
  if (g !== w) throw new Error(`${typeof what === "string" ? what : what()}: got ${g}, want ${w}`);
}

/** Throws unless both hold the same bytes. */
export function sameBytes(got: Uint8Array, want: Uint8Array, what: string): void {
  same(got.length, want.length, `${what}: length`);
  const at = got.findIndex((byte, i) => byte !== want[i]);
  if (at !== -1) throw new Error(`${what}: byte ${at} is ${got[at]}, want ${want[at]}`);
}

const printed = (value: unknown) =>
  JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : Number.isNaN(v) ? "NaN" : v));
