// Unpacks the hits that engines return, two 16-bit numbers in one (see contract.ts).

/** Returns the number in bits 0-15, signed: where the hit begins, or -1 for none. */
export function firstOf(packed: number): number {
  return (packed << 16) >> 16;
}

/** Returns the number in bits 16-31, signed: the pages of the hit. For `find`, the first free page seen, or -1. */
export function secondOf(packed: number): number {
  return packed >> 16;
}
