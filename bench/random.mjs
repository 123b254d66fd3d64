// Random numbers from a seed, so that the inputs are the same in every run, column and browser.

/** Returns a function that returns 32 random bits per call, from a seed (splitmix32). */
export function randomBits(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
}

/** Returns a function of n that returns a random integer from 0 to n - 1, from a seed. */
export function randomBelow(seed) {
  const bits = randomBits(seed);
  return (n) => Math.floor((bits() / 2 ** 32) * n);
}

/** Returns the integers from 0 to n - 1 in random order. */
export function shuffled(n, seed) {
  const below = randomBelow(seed);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
