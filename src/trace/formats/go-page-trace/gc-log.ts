// The log of the scavenger and the collector beside a page trace, which itself says nothing of the collector.
//
// The log has a JSON object a line, and its key k says of what. Two kinds tell the cycles, in this order:
//
//     {"k":"pace","t":7798190201858,"heapGoal":5693352,"heapMarked":2616240,...}     marking has ended
//     {"k":"swept","t":7798197288864,...}                                            nothing is left to sweep
//
// t is in ns on the trace's clock. When a cycle began is not known: only the lines of gctrace tell, in ms since the
// program began, and not when that was.

import { PageAllocError } from "../../../base/errors.ts";
import { BlockWriter } from "../../columns/block-writer.ts";
import { joinGc } from "../../columns/join.ts";
import { type GcEvents, PAGE_BYTES, type PageTrace } from "../../events.ts";
import { skipBlanks } from "../../source/fields.ts";
import type { Input } from "../../source/input.ts";
import { fieldsOf, numberOf } from "../../source/json-lines.ts";
import { Lines } from "../../source/lines.ts";

/** Most cycles to give with a block. */
const MOST_CYCLES = 2 ** 16;

/** A cycle whose marking has ended. Times in ns, and bytes. */
interface Cycle {
  readonly time: number;
  sweepEnd: number;
  readonly heapLive: number;
  readonly heapGoal: number;
}

/** Gives a whole trace the cycles of a log. Rejects with PageAllocError ERR_TRACE that names the byte of the log. */
export async function withCycles(trace: PageTrace, log: Input): Promise<PageTrace> {
  const cycles = new GcLog(log);
  const parts: GcEvents[] = [];
  do parts.push(await cycles.takeUpTo(Infinity));
  while (!cycles.ended);
  return { ...trace, gc: joinGc(parts) };
}

/**
 * Gives each block the cycles whose marking ended in it. Those after the last event come in a block of their own.
 * Rejects with PageAllocError ERR_TRACE that names the byte of the log.
 */
export async function* withCyclesInBlocks(
  blocks: AsyncIterable<PageTrace>,
  log: Input,
): AsyncGenerator<PageTrace> {
  const cycles = new GcLog(log);
  for await (const block of blocks) {
    yield { ...block, gc: await cycles.takeUpTo(block.time[block.length - 1] ?? -Infinity) };
  }
  const writer = new BlockWriter("go-page-trace", PAGE_BYTES, 0);
  while (!cycles.ended) {
    const gc = await cycles.takeUpTo(Infinity);
    if (gc.length > 0) yield writer.take({ gc });
  }
}

/** The cycles of a log, one after the other. */
class GcLog {
  /** Whether there are no more cycles. */
  ended = false;
  readonly #cycles: AsyncGenerator<Cycle>;
  /** The next cycle, once it is known. */
  #next: Cycle | undefined;

  constructor(input: Input) {
    this.#cycles = cyclesOf(input);
  }

  /** Returns the next cycles whose marking had ended by a time; not all if there are very many. */
  async takeUpTo(time: number): Promise<GcEvents> {
    const taken: Cycle[] = [];
    while (taken.length < MOST_CYCLES) {
      this.#next ??= await this.#read();
      if (!this.#next || this.#next.time > time) break;
      taken.push(this.#next);
      this.#next = undefined;
    }
    return {
      length: taken.length,
      start: new Float64Array(taken.length).fill(Number.NaN),
      time: Float64Array.from(taken, (cycle) => cycle.time),
      sweepEnd: Float64Array.from(taken, (cycle) => cycle.sweepEnd),
      heapLive: Float64Array.from(taken, (cycle) => cycle.heapLive),
      heapGoal: Float64Array.from(taken, (cycle) => cycle.heapGoal),
    };
  }

  async #read(): Promise<Cycle | undefined> {
    try {
      const { done, value } = await this.#cycles.next();
      this.ended = done === true;
      return value;
    } catch (error) {
      if (!(error instanceof PageAllocError) || error.code !== "ERR_TRACE") throw error;
      throw new PageAllocError("ERR_TRACE", `in the GC log, ${error.message}`, { cause: error });
    }
  }
}

async function* cyclesOf(input: Input): AsyncGenerator<Cycle, undefined> {
  await input.start();
  const lines = new Lines(await input.open());
  let time = Number.NEGATIVE_INFINITY;
  let cycle: Cycle | undefined;
  while (await lines.more()) {
    while (lines.next()) {
      skipBlanks(lines);
      if (lines.position === lines.end) continue;
      const fields = fieldsOf(lines);
      if (fields.k !== "pace" && fields.k !== "swept") continue;
      const at = numberOf(lines, fields.t, "t, a time in ns");
      if (at < time) throw lines.error(`t, a time from ${time} on, as times of pace and swept ascend`);
      time = at;
      if (fields.k === "swept") {
        if (cycle) cycle.sweepEnd = time;
        continue;
      }
      if (cycle) yield cycle;
      const heapLive = numberOf(lines, fields.heapMarked, "heapMarked in bytes");
      const { heapGoal } = fields;
      cycle = {
        time,
        sweepEnd: Number.NaN,
        heapLive,
        heapGoal: heapGoal === null ? Infinity : numberOf(lines, heapGoal, "heapGoal in bytes, or null"),
      };
    }
  }
  if (cycle) yield cycle;
  return undefined;
}
