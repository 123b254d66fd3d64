// The scavenger: one pass over the heap, strictly from the highest address down. It looks in scavAddr's chunk, then
// walks down without the lock, from one chunk that may have a candidate to the next, and takes the lock only to look
// again and release. A reset during the walk wins: a pass that began before it never moves scavAddr again.

import { isInteger } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { type Place, placeOf } from "../engine/pages.ts";
import type { Core } from "./core.ts";
import type { Rest } from "./lock.ts";

/** Pages that an engine scavenges in one call: it counts them in 32 bits. Only a heap that is mostly holes has more. */
const MOST_AT_ONCE = 2 ** 31;

/**
 * Releases one run of at most maxPages pages (0 to 512, 512 for no limit; more to keep a huge page whole). Returns its
 * pages, 0 when nothing is left. Throws what `sys.unused` throws.
 */
export function scavengeOne(core: Core, maxPages: number): number {
  const pass = beginPass(core, maxPages);
  if (typeof pass === "number") return pass;
  try {
    for (;;) {
      const released = pass.step();
      if (released !== undefined) return released;
    }
  } finally {
    // Pages are not held for ever: the next call frees them.
    if (pass.held) {
      pass.next = core.lock.rest;
      core.lock.rest = pass;
    }
  }
}

/** Makes the first look of a pass. Returns the pages that it has released, or else the pass that is to go on. */
export function beginPass(core: Core, maxPages: number): number | Pass {
  core.lock.giveWay();
  core.lock.acquire();
  try {
    // Where no hook has to run, most passes end here, in one call of the engine.
    const released = core.sys.unused ? 0 : core.engine.release(core.at, maxPages);
    return released ? Math.max(released, 0) : newPass(core, maxPages);
  } finally {
    try {
      core.lock.release();
    } catch {
      core.engine.memory.i32[(core.region.at + layout.HEADER_LOCK) >>> 2] = 0;
    }
  }
}

/** `scavengeOne` for a thread that may not wait for the lock. */
export async function scavengeOneAsync(core: Core, maxPages: number): Promise<number> {
  const { lock } = core;
  const pass = await lock.whenFree(() => beginPass(core, maxPages));
  if (typeof pass === "number") return pass;
  try {
    for (;;) {
      const released = pass.waits ? await lock.whenFree(() => pass.step()) : pass.step();
      if (released !== undefined) return released;
    }
  } finally {
    if (pass.held) {
      pass.next = lock.rest;
      lock.rest = pass;
    }
  }
}

/**
 * Marks those pages as scavenged that are free and unscavenged. Returns how many those are. Caller must hold the lock.
 */
export function scavengePages(core: Core, { chunk, index }: Place, npages: number): number {
  const first = chunk * layout.CHUNK_PAGES + index;
  const end = Math.min(first + npages, core.getF64(layout.HEADER_TOP));
  let released = 0;
  for (let page = first; page < end; page += MOST_AT_ONCE) {
    const at = placeOf(page);
    const n = Math.min(end - page, MOST_AT_ONCE);
    released += core.engine.scavengeRange(
      core.at,
      at.chunk,
      at.index,
      n,
      core.getF64(layout.HEADER_SCAV_END),
    );
  }
  return released;
}

/**
 * Makes a pass and its first look. Returns the pages that it has released, or else the pass. Caller must hold the lock.
 */
function newPass(core: Core, maxPages: number): number | Pass {
  const last = core.engine.scavengeTop(core.at) - 1;
  if (last < 0) return 0;
  const pass = new Pass(core, maxPages, last);
  return pass.look(true) ?? pass;
}

/** What a step gives: the pages that the pass has released, once it is done; undefined when it goes on. */
type Outcome = number | undefined;

/** One search for a run to release, in steps. The heap may change between them. */
export class Pass implements Rest {
  /** Ref of the record of what the hook runs on; 0 when there is none. */
  held = 0;
  /** Whether the next step takes the lock, and may be put off until that is free. */
  waits = false;
  next: Rest | undefined;
  readonly #core: Core;
  readonly #maxPages: number;
  /** Number of resets before the first look. */
  readonly #generation: number;
  #step: () => Outcome = this.#walk;
  /** The chunk to look in, of which only pages below #ceiling count. */
  #chunk: number;
  #ceiling: number;
  // What the last look has found.
  #index = 0;
  #npages = 0;
  // HEADER_SCAV_END before and after it.
  #before = 0;
  #after = 0;
  /** What the hook has said; undefined before it has run. */
  #declined: boolean | undefined;
  #thrown: { error: unknown } | undefined;

  /** @param last the page that the first look begins at */
  constructor(core: Core, maxPages: number, last: number) {
    this.#core = core;
    this.#maxPages = maxPages;
    this.#generation = core.get(layout.HEADER_SCAV_GENERATION);
    this.#chunk = Math.floor(last / layout.CHUNK_PAGES);
    this.#ceiling = last - this.#chunk * layout.CHUNK_PAGES + 1;
  }

  /** Takes the next step. The last one throws what the hook has thrown. */
  step(): Outcome {
    return this.#step();
  }

  /**
   * Looks in the chunk. Releases what is found there, or holds it as in use so that a hook can run on it. Caller must
   * hold the lock.
   */
  look(isFirst = false): Outcome {
    const core = this.#core;
    const { engine } = core;
    const chunk = this.#chunk;
    const hit = engine.findCandidate(core.at, chunk, this.#ceiling, this.#maxPages);
    const index = hit & 0xffff;
    const npages = hit >>> 16;
    const page = chunk * layout.CHUNK_PAGES + index;
    // A first find may lie above scavAddr, in the same word. Then scavAddr goes up to it, as in the origin.
    const scavEnd = isFirst && hit ? page : this.#lowered(page);
    if (!hit) {
      engine.passOver(core.at, chunk, scavEnd);
      this.#step = this.#walk;
      this.waits = false;
      return undefined;
    }
    if (!core.sys.unused) {
      engine.scavengeRange(core.at, chunk, index, npages, scavEnd);
      return npages;
    }
    this.#index = index;
    this.#npages = npages;
    this.#before = core.getF64(layout.HEADER_SCAV_END);
    this.#after = scavEnd;
    this.#declined = undefined;
    this.#step = this.#runHook;
    this.waits = false;
    this.held = core.hold(layout.KIND_RELEASING, { chunk, index }, npages, scavEnd);
    return undefined;
  }

  /** Looks again, in a chunk further down or further down in the chunk. */
  #lookAgain(): Outcome {
    this.#core.lock.giveWay();
    return this.#core.locked(() => this.look());
  }

  /** Walks down to the next chunk that may have a candidate. Takes no lock. */
  #walk(): Outcome {
    this.#step = this.#descend() ? this.#lookAgain : this.#endWalk;
    this.waits = true;
    return undefined;
  }

  /** At the bottom, as far as was seen without the lock: walks once more with it, so that nothing stale decides. */
  #endWalk(): Outcome {
    const core = this.#core;
    this.#step = this.#lookAgain;
    this.waits = true;
    return core.locked(() => {
      if (this.#descend()) return undefined;
      core.setF64(layout.HEADER_SCAV_END, this.#lowered(0));
      return 0;
    });
  }

  /** Goes on to the next chunk downward that may have a candidate. Returns false when none is seen. */
  #descend(): boolean {
    const core = this.#core;
    const start = core.get(layout.HEADER_START);
    const below = this.#chunk - 1;
    const chunk = below < start ? -1 : core.engine.walk(core.at, below);
    if (!isInteger(chunk, start, below)) return false;
    this.#chunk = chunk;
    this.#ceiling = layout.CHUNK_PAGES;
    return true;
  }

  /** Runs `sys.unused` on the pages that are held. */
  #runHook(): Outcome {
    const core = this.#core;
    const place = { chunk: this.#chunk, index: this.#index };
    this.#step = this.#endHook;
    try {
      this.#declined = core.sys.unused?.(core.address(place), this.#npages * core.pageSize) === false;
    } catch (error) {
      this.#declined = true;
      this.#thrown = { error };
    }
    return undefined;
  }

  /** Frees the pages again, and scavenges them unless the hook declined: then the pass goes on below them. */
  #endHook(): Outcome {
    this.#core.lock.finish(() => this.work());
    this.held = 0;
    if (this.#thrown) throw this.#thrown.error;
    if (!this.#declined) return this.#npages;
    this.#ceiling = this.#index;
    this.waits = this.#ceiling > 0;
    this.#step = this.waits ? this.#lookAgain : this.#walk;
    return undefined;
  }

  /** Ends the hold: as the hook has said or, if it could not even be called, as if nothing had been found. */
  work(): void {
    const core = this.#core;
    const current = this.#isCurrent();
    const passed = this.#declined && current ? layout.HOLD_DECLINED : layout.HOLD_PASSED;
    core.endHold(this.held, this.#declined === false ? layout.HOLD_RELEASED : passed);
    if (this.#declined === undefined && current && core.getF64(layout.HEADER_SCAV_END) === this.#after)
      core.setF64(layout.HEADER_SCAV_END, this.#before);
  }

  /** Where scavAddr is once it has been moved down to just below a page: a reset since the pass began forbids that. */
  #lowered(page: number): number {
    const end = this.#core.getF64(layout.HEADER_SCAV_END);
    return this.#isCurrent() ? Math.min(page, end) : end;
  }

  /** Whether scavAddr has not been reset since the pass began. Caller must hold the lock. */
  #isCurrent(): boolean {
    return this.#core.get(layout.HEADER_SCAV_GENERATION) === this.#generation;
  }
}
