// Pairs of 16-bit numbers in one, as engines return hits (see contract.ts).

/** Returns the number in bits 0-15, signed: where a hit begins; -1 for none. */
export function firstOf(packed: number): number {
  return (packed << 16) >> 16;
}

/** Returns the number in bits 16-31, signed: the pages of a hit; or -1. */
export function secondOf(packed: number): number {
  return packed >> 16;
}
