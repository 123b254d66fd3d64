/** Returns the median of some numbers. Sorts them in place. */
export const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
