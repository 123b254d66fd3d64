// Words that workers and their test share, to tell each other how far they are.

/** A few words in shared memory, all 0 at first. */
export class Signals {
  readonly words: Int32Array<SharedArrayBuffer>;

  constructor(buffer = new SharedArrayBuffer(64)) {
    this.words = new Int32Array(buffer);
  }

  get(at: number): number {
    return Atomics.load(this.words, at);
  }

  /** Writes a word, and wakes whoever waits for it. */
  set(at: number, value: number): void {
    Atomics.store(this.words, at, value);
    Atomics.notify(this.words, at);
  }

  /** Blocks until a word has that value. For workers. */
  wait(at: number, value: number): void {
    for (let seen = this.get(at); seen !== value; seen = this.get(at)) Atomics.wait(this.words, at, seen);
  }

  /** Resolves once a word has that value. */
  reached(at: number, value: number): Promise<void> {
    return until(() => this.get(at) === value);
  }
}

/** Resolves after that many milliseconds. */
export const sleep = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** Resolves once `test` holds. */
export async function until(test: () => boolean): Promise<void> {
  while (!test()) await sleep(1);
}
