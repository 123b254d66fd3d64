// Reads an execution trace generation by generation.

import { memoryError } from "../../memory-error.ts";
import type { Blocks } from "../../source/source.ts";
import { Batches, type Info } from "./batches.ts";
import { fail, failWithoutPages } from "./damage.ts";
import { type Extent, type Generation, Recorder, type Wanted } from "./records.ts";

/** The generations of one file. */
export class Generations {
  readonly #batches: Batches;
  readonly #recorder: Recorder;

  constructor(blocks: Blocks, wanted: Wanted) {
    this.#batches = new Batches(blocks);
    this.#recorder = new Recorder(wanted);
  }

  /** How the trace numbers pages. Known after the first generation. */
  get info(): Info {
    return this.#batches.info as Info;
  }

  /** Which pages have been named so far. */
  get extent(): Extent {
    return this.#recorder.extent;
  }

  /** Why the end of the file seems to be missing, if it does. Known after the last generation. */
  get cutShort(): string | undefined {
    if (this.#batches.complete) return undefined;
    return "the file seems to be cut short, or its program was killed: its last generation has no end";
  }

  /** Reads a generation; undefined after the last. Rejects with PageAllocError ERR_TRACE that names the byte. */
  async next(): Promise<Generation | undefined> {
    const batches = this.#batches;
    try {
      for (;;) {
        const found = await batches.next();
        if (found === "events") this.#recorder.take(batches);
        else if (!batches.info) failWithoutPages();
        else return found === "end" ? undefined : this.#end();
      }
    } catch (error) {
      throw memoryError(error, `byte ${batches.position}`);
    }
  }

  #end(): Generation {
    const { frequency, position } = this.#batches;
    if (Number.isNaN(frequency)) {
      fail(position, "the trace is cut short: the frequency of its clock is missing");
    }
    return this.#recorder.end(frequency);
  }
}
