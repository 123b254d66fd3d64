// Writes a trace in Go's page trace format, which decode.ts describes.

import { PageAllocError } from "../../../base/errors.ts";
import { PAGE_BYTES, type PageTrace, SCAVENGE } from "../../events.ts";
import { type BlockSource, givenTrace, writeError } from "../../written.ts";

const TICK_NS = 128;
/** Most ticks that `readPageTrace` reads. */
const TICKS_MAX = 2 ** 53;
const WORD_BYTES = 8;
/** Words of a P's buffer. Go's have 4096; the last of one that stays below 4095 says that its P has ended. */
const BUFFER_WORDS = 4094;
/** Ticks after a time base that an event has room for, and pages in its own word. */
const LATER_MAX = 0xffff;
const NPAGES_MAX = 0x3ff;
/** In an event: npages is the next word. In a sync word: it names a P. */
const FLAG = 0b100;
const NO_P = -1;

/**
 * Writes a trace, whole or in blocks, in Go's page trace format. Yields the file's bytes piece by piece, as the events
 * come; holds up to 32 KiB for each proc. `readPageTrace` gives the columns back, but for `offset`. Times are rounded
 * down to multiples of 128 ns; events of the same time keep their order. What the format has no place for is left out:
 * cycles of the collector and objects. A trace that does not end with an event of no P is read back with `cutShort`.
 *
 * Throws TypeError or RangeError for what is not a trace, and PageAllocError ERR_TRACE unless its pages have 8192
 * bytes. The iteration rejects with whatever `trace` throws, with TypeError for a wrong column, and with ERR_TRACE for
 * an event that the format cannot express: of a kind other than alloc, free and scavenge, of a proc below -1, or with a
 * time below 0 or from 2^60 on.
 */
export function writePageTrace(trace: PageTrace | BlockSource): AsyncGenerator<Uint8Array, void, undefined> {
  const { pageSize, blocks } = givenTrace(trace);
  if (pageSize !== PAGE_BYTES) {
    const reason = `a page trace has pages of ${PAGE_BYTES} bytes, and this trace has pages of ${pageSize}`;
    throw new PageAllocError("ERR_TRACE", `${reason}; write it in the neutral form`);
  }
  return write(blocks);
}

async function* write(blocks: AsyncIterable<PageTrace>): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = new Map<number, ProcBuffer>();
  let latest: ProcBuffer | undefined;
  let ticks = 0;
  let before = 0;
  for await (const block of blocks) {
    for (let event = 0; event < block.length; event++) {
      const now = ticksOf(block, event, before);
      const id = block.proc[event];
      let buffer = buffers.get(id);
      if (!buffer) {
        buffer = new ProcBuffer(id);
        buffers.set(id, buffer);
      }
      // Readers take events of the same time in the order of the file. So the earlier one is written first.
      if (latest && latest !== buffer && now === ticks) yield latest.take();
      if (!buffer.hasRoom) yield buffer.take();
      buffer.add(now, block.kind[event], block.base[event], block.npages[event]);
      latest = buffer;
      ticks = now;
    }
    before += block.length;
  }
  for (const buffer of buffers.values()) if (buffer.id !== NO_P && !buffer.isEmpty) yield buffer.take();
  const last = buffers.get(NO_P);
  if (last && !last.isEmpty) yield last.take();
}

/** Returns an event's time in ticks. Throws ERR_TRACE if the format cannot express the event. */
function ticksOf(block: PageTrace, event: number, before: number): number {
  const kind = block.kind[event];
  if (kind > SCAVENGE) {
    const reason = `a page trace has allocs, frees and scavenges (kinds 1 to 3), and this is of kind ${kind}`;
    throw writeError(block, event, before, `${reason}; write it in the neutral form`);
  }
  if (block.proc[event] < NO_P) {
    throw writeError(
      block,
      event,
      before,
      `a page trace has procs from -1, and this is of ${block.proc[event]}`,
    );
  }
  const time = block.time[event];
  const ticks = Math.floor(time / TICK_NS);
  if (ticks >= 0 && ticks < TICKS_MAX) return ticks;
  throw writeError(block, event, before, `a page trace has times from 0 to 2^60 ns, and this is at ${time}`);
}

/** The buffer of a P. */
class ProcBuffer {
  readonly id: number;
  #view = new DataView(new ArrayBuffer(0));
  /** Words so far. */
  #words = 0;
  /** The time base, in ticks. */
  #base = 0;

  constructor(id: number) {
    this.id = id;
  }

  get isEmpty(): boolean {
    return this.#words === 0;
  }

  /** Whether an event fits, with a time base before it and a number of pages after it. */
  get hasRoom(): boolean {
    return this.#words + 3 <= BUFFER_WORDS;
  }

  add(ticks: number, kind: number, base: number, npages: number): void {
    if (this.#words === 0) {
      this.#view = new DataView(new ArrayBuffer(BUFFER_WORDS * WORD_BYTES));
      // An id is shifted by three bits. Its sign fills the rest.
      this.#word((this.id << 3) | FLAG, this.id >> 29);
      this.#setBase(ticks);
    } else if (ticks - this.#base > LATER_MAX) this.#setBase(ticks);
    const isMany = npages > NPAGES_MAX;
    const pages = isMany ? FLAG : npages << 3;
    const high = ((ticks - this.#base) << 16) | Math.floor(base / 2 ** 32);
    // The base has no bits below its page.
    this.#word((base % 2 ** 32) + pages + kind, high);
    if (isMany) this.#word(npages, 0);
  }

  #setBase(ticks: number): void {
    this.#base = ticks;
    this.#word((ticks % 2 ** 29) * 8, Math.floor(ticks / 2 ** 29));
  }

  #word(low: number, high: number): void {
    const at = this.#words++ * WORD_BYTES;
    this.#view.setUint32(at, low, true);
    this.#view.setUint32(at + 4, high, true);
  }

  /** Returns the bytes so far. The buffer is empty afterwards. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.#view.buffer, 0, this.#words * WORD_BYTES);
    this.#words = 0;
    return bytes;
  }
}
