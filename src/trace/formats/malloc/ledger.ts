// Turns calls to malloc and free into events.
//
// A log may have begun late, may have lost calls, and may have several threads' calls in nearly the right order. The
// ledger knows what is live, so that nothing comes out that is allocated twice or freed without need.
//
// Memory is counted in units of 16 bytes, which malloc aligns blocks to on 64-bit systems. Blocks that start at a
// multiple of 16 and do not overlap in bytes do not overlap in units either. Others would: two blocks of 8 bytes may
// share a unit. They get a made-up place instead. No program has memory there: user space on x86-64 ends below it, and
// Linux on arm64 puts programs and libraries above it.

import { PageAllocError } from "../../../base/errors.ts";
import { EventQueue } from "../../columns/event-queue.ts";
import { ADDRESS_LIMIT, ALLOC, FREE } from "../../events.ts";
import { LiveRanges } from "../../live-ranges.ts";

/** Bytes per unit, the page size of malloc logs. */
export const UNIT_BYTES = 16;
/** Most units of a block. */
const MOST_UNITS = 2 ** 32 - 1;
/** Addresses must be below this to be exact. */
const POINTER_LIMIT = 2 ** 53;
/** The range of made-up places. */
const MADE_UP_START = 2 ** 47;
const MADE_UP_END = 2 ** 47 + 2 ** 45;

/** A block that has a made-up place. */
interface MovedBlock {
  readonly base: number;
  readonly units: number;
}

/** Calls in the order of the log. Addresses are those of the log, in bytes; 0 is the null pointer. */
export class Ledger {
  /** Time of the calls that follow, in ns. */
  time = 0;
  /** Thread of the calls that follow; -1 if not known. */
  thread = -1;
  /** The events so far. */
  readonly events = new EventQueue("malloc", UNIT_BYTES);
  readonly #live = new LiveRanges();
  /** Blocks at made-up places, by address in the log. */
  readonly #moved = new Map<number, MovedBlock>();
  /** Made-up places that are free again, by units. Those of a size serve only that size, which needs no search. */
  readonly #spare = new Map<number, number[]>();
  #madeUp = MADE_UP_START;

  /**
   * Notes that a block was allocated. If the address is 0, the call failed, and nothing happens. If what is there is in
   * use, the log has lost its free. Throws PageAllocError ERR_TRACE for an impossible block.
   *
   * @param bytes size as requested; a block has one unit at least
   * @param offset byte of the call in the file
   */
  alloc(address: number, bytes: number, offset: number): void {
    if (address === 0) return;
    const units = Math.max(1, Math.ceil(bytes / UNIT_BYTES));
    if (units > MOST_UNITS)
      throw impossible(offset, `a block of ${bytes} bytes`, "blocks are smaller than 64 GiB");
    checkAddress(address, offset);
    const { corrections } = this.events;
    if (mayMove(address) && this.#freeMoved(address, offset)) corrections.impliedFrees++;
    let base = address;
    if (canKeep(address, units)) this.#claim(address / UNIT_BYTES, units, offset);
    else {
      base = this.#makeUp(units, offset);
      this.#moved.set(address, { base, units });
    }
    this.#add(ALLOC, base, units, offset);
    if (base !== address) corrections.movedAllocs++;
  }

  /**
   * Notes that a block was freed. Address 0, and a block from before the log, are passed over. Throws PageAllocError
   * ERR_TRACE for an impossible address.
   */
  free(address: number, offset: number): void {
    checkAddress(address, offset);
    const unit = address / UNIT_BYTES;
    this.#live.seek(unit);
    const { start, length: npages } = this.#live;
    if (start === unit) {
      this.#live.remove();
      this.#add(FREE, address, npages, offset);
    } else if (!(mayMove(address) && this.#freeMoved(address, offset)) && address !== 0) {
      this.events.corrections.skippedFrees++;
    }
  }

  /**
   * Notes that a block was resized: `old` is freed, if it is not 0, and `address` is allocated. If `address` is 0, the
   * call failed and `old` stays; but to resize to 0 bytes is to free.
   */
  realloc(old: number, address: number, bytes: number, offset: number): void {
    if (address === 0 && bytes > 0) return;
    this.free(old, offset);
    this.alloc(address, bytes, offset);
  }

  /** Makes units live. Whatever was live there has been freed. */
  #claim(unit: number, units: number, offset: number): void {
    this.#live.seek(unit);
    while (this.#live.start < unit + units) {
      const { start, length: npages } = this.#live;
      this.#live.remove();
      this.#add(FREE, start * UNIT_BYTES, npages, offset);
      this.events.corrections.impliedFrees++;
      this.#live.seek(unit);
    }
    this.#live.insert(unit, units);
  }

  /** Returns the address of a made-up place. */
  #makeUp(units: number, offset: number): number {
    const spare = this.#spare.get(units)?.pop();
    if (spare !== undefined) return spare;
    const base = this.#madeUp;
    if (base + units * UNIT_BYTES > MADE_UP_END) {
      throw impossible(offset, "this block", "32 TiB can be held at addresses that are no multiples of 16");
    }
    this.#madeUp += units * UNIT_BYTES;
    return base;
  }

  /** Frees the block at this address, if it has a made-up place. Returns whether it has. */
  #freeMoved(address: number, offset: number): boolean {
    const block = this.#moved.get(address);
    if (!block) return false;
    this.#moved.delete(address);
    const spare = this.#spare.get(block.units);
    if (spare) spare.push(block.base);
    else this.#spare.set(block.units, [block.base]);
    this.#add(FREE, block.base, block.units, offset);
    return true;
  }

  #add(kind: number, base: number, units: number, offset: number): void {
    this.events.add(this.time, this.thread, kind, base, units, offset);
  }
}

/** Reports whether a block can be put at its address. */
function canKeep(address: number, units: number): boolean {
  if (address % UNIT_BYTES !== 0) return false;
  const end = address + units * UNIT_BYTES;
  return end <= MADE_UP_START || (address >= MADE_UP_END && end <= ADDRESS_LIMIT);
}

/** Reports whether a block at this address can have a made-up place. Saves a look-up for most. */
function mayMove(address: number): boolean {
  return address % UNIT_BYTES !== 0 || address > MADE_UP_START - MOST_UNITS * UNIT_BYTES;
}

function checkAddress(address: number, offset: number): void {
  if (address < POINTER_LIMIT) return;
  throw impossible(offset, "this address", "addresses are below 2^53, without a tag");
}

function impossible(offset: number, what: string, allowed: string): PageAllocError {
  return new PageAllocError("ERR_TRACE", `byte ${offset}: ${what} is impossible; ${allowed}`);
}
