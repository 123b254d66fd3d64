// fillAligned: finding out for all m-aligned groups of m bits at once whether one has a 1. It is the carry trick for the
// zero byte of a word (graphics.stanford.edu/~seander/bithacks.html#ZeroInWord), for groups of any power of two: adding
// 0111…1 to the low bits of a group carries into the group's top bit just when one of them is set. Words have 32 bits
// here, but for fillAligned itself, so groups of 64 are two words that are looked at together.

const LOW_BITS = [0, 0x55555555, 0x77777777, 0x7f7f7f7f, 0x7fff7fff, 0x7fffffff];

/** The low m - 1 bits of every m-aligned group of a 32-bit word; m a power of two, 1 to 32. */
export function lowBits(m: number): number {
  return LOW_BITS[31 - Math.clz32(m)];
}

/** All ones but for the top bits of the groups that are all zero, given `low` = lowBits(m). */
export function occupied(x: number, low: number): number {
  return ((x & low) + low) | x | low;
}

/** fillAligned of a 32-bit word for callers that have `low` = lowBits(m) and `top` = m - 1 at hand. */
export function fillGroups(x: number, low: number, top: number): number {
  const tops = occupied(x, low) & ~low;
  return tops | (tops - (tops >>> top));
}

/** Every m-aligned group of m bits of a 64-bit word with any bit set becomes all ones; m a power of two, 1 to 64. */
export function fillAligned(x: bigint, m: number): bigint {
  const top = BigInt(m - 1);
  const lowest = 0xffffffffffffffffn / ((2n << top) - 1n);
  const low = lowest * ((1n << top) - 1n);
  const tops = (((x & low) + low) | x) & (lowest << top);
  return tops | (tops - (tops >> top));
}
