/** The middle of some numbers, which are sorted by that. */
export const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
