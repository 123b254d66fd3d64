// Lets the event loop run.

/** How long to work without a break, in ms: less than half a frame. */
const WORK_MS = 6;

/** Breaks of a long piece of work. A message is waited for, since timers of a page wait for 4 ms and more. */
export class Breaks {
  #since = performance.now();
  #channel: MessageChannel | undefined;

  /** Waits until the event loop has run, if the last break was long enough ago. */
  async now(): Promise<void> {
    if (performance.now() - this.#since < WORK_MS) return;
    this.#channel ??= new MessageChannel();
    const { port1, port2 } = this.#channel;
    await new Promise((resume) => {
      port1.onmessage = resume;
      port2.postMessage(undefined);
    });
    this.#since = performance.now();
  }

  /** Must be called at the end: in Node an open channel keeps the process alive. */
  close(): void {
    this.#channel?.port1.close();
  }
}
