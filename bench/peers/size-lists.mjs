// Lists of free ranges by their size, in two levels, as two-level bins and TLSF have them. The first level has a class
// for each power of two. The second cuts each class into 1 << bits equal parts, with a list each. Sizes below
// 1 << bits have a list each too, all in class 0.

/** Returns the lowest 1-bit, as a number from 0 to 31. */
export const lowestBit = (bits) => 31 - Math.clz32(bits & -bits);

/** Returns the list that a free range of a size goes to: the last whose sizes are all at most as large. */
export function listOf(size, bits) {
  if (size < 1 << bits) return size;
  const shift = 31 - bits - Math.clz32(size);
  return ((shift + 1) << bits) + ((size >>> shift) & ((1 << bits) - 1));
}

/** Returns the first list whose ranges are all at least that long. */
export function firstListFor(size, bits) {
  if (size < 1 << bits) return size;
  return listOf(size + (1 << (31 - bits - Math.clz32(size))) - 1, bits);
}
