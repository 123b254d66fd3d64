// fillAligned: finding out for all m-aligned groups of m bits at once whether one has a 1. It is the carry trick for the
// zero byte of a word (graphics.stanford.edu/~seander/bithacks.html#ZeroInWord), for groups of any power of two: adding
// 0111…1 to the low bits of a group carries into the group's top bit just when one of them is set.

/** The low m - 1 bits of every m-aligned group; m a power of two, 1 to 64. */
export function lowBits(m: u32): u64 {
  switch (ctz(m)) {
    case 0: return 0;
    case 1: return 0x5555555555555555;
    case 2: return 0x7777777777777777;
    case 3: return 0x7f7f7f7f7f7f7f7f;
    case 4: return 0x7fff7fff7fff7fff;
    case 5: return 0x7fffffff7fffffff;
    default: return 0x7fffffffffffffff;
  }
}

/** All ones but for the top bits of the groups that are all zero, given `low` = lowBits(m). */
export function occupied(x: u64, low: u64): u64 {
  return ((x & low) + low) | x | low;
}

/** fillAligned for callers that have `low` = lowBits(m) and `top` = m - 1 at hand. */
export function fillGroups(x: u64, low: u64, top: u64): u64 {
  const tops = occupied(x, low) & ~low;
  return tops | (tops - (tops >> top));
}

/** Every m-aligned group of m bits with any bit set becomes all ones; m a power of two, 1 to 64. */
export function fillAligned(x: u64, m: u32): u64 {
  return fillGroups(x, lowBits(m), m - 1);
}
