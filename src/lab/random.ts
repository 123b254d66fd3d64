// Random numbers for policies that draw some, so that a simulation can be run again by its seed.

/** Numbers that depend on the seed alone (splitmix32). */
export class Random {
  #state: number;

  /** @param seed an integer; its low 32 bits count */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Returns a number from 0 to less than 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from 0 to less than `n`, an integer of 1 or more. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
}
