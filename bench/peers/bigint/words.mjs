// 64-bit words as BigInts: operations that processors have an instruction for and JavaScript does not.

export const ONES = (1n << 64n) - 1n;

/** Returns the 64-bit complement. */
export const not = (x) => x ^ ONES;

/** Returns how many 0 bits are above the highest 1; 64 for 0. */
export function leadingZeros(x) {
  const high = Number(x >> 32n);
  return high !== 0 ? Math.clz32(high) : 32 + Math.clz32(Number(x & 0xffffffffn));
}

/** Returns how many 0 bits are below the lowest 1; 64 for 0. */
export function trailingZeros(x) {
  return x === 0n ? 64 : 63 - leadingZeros(x & -x);
}

/** Returns how many bits are 1. */
export function onesCount(x) {
  let count = 0;
  for (let rest = x; rest !== 0n; rest &= rest - 1n) count++;
  return count;
}

/** Returns n ones from bit i on. i + n is at most 64. */
export const ones = (i, n) => (ONES >> BigInt(64 - n)) << BigInt(i);

/** The masks that fillAligned adds, by m: all ones, except for the top bit of each group. */
const GROUP_MASKS = new Map([
  [2, 0x5555555555555555n],
  [4, 0x7777777777777777n],
  [8, 0x7f7f7f7f7f7f7f7fn],
  [16, 0x7fff7fff7fff7fffn],
  [32, 0x7fffffff7fffffffn],
  [64, 0x7fffffffffffffffn],
]);

/** Returns x with all bits set in each aligned group of m bits that has a 1. m is a power of two, 1 to 64. */
export function fillAligned(x, m) {
  if (m === 1) return x;
  const mask = GROUP_MASKS.get(m);
  // The sum carries into a group's top bit if any lower bit is 1. So the top bit stays 0 only if the group was all 0.
  const emptyTops = not(((x & mask) + mask) | x | mask);
  // A group's top bit minus its lowest bit gives ones below the top bit.
  return not((emptyTops - (emptyTops >> BigInt(m - 1))) | emptyTops);
}
