// What AssemblyScript has built in, for the files of ../both/. asc does not see this file.

/** An address in linear memory. */
export type usize = number;
export type u32 = number;
export type i32 = number;
export type f64 = number;
export type u64 = bigint;
export type bool = boolean;

/** Throws unless `holds`. */
export function assert(holds: bool, what: string): void {
  if (!holds) throw new Error(`assertion failed: ${what}`);
}
