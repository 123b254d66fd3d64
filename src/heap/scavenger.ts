// The scavenger. A *pass* searches for one run to release, strictly from the highest address down. It looks in
// scavAddr's chunk first. Then it walks down without the lock to the next chunk that may have a candidate, and takes
// the lock only to look there and release. A reset during the walk wins: a pass that began before it no longer moves
// scavAddr. In a plain heap without `sys.unused` nothing can happen between the steps of a synchronous call, so there
// the engine makes the whole pass at once.

import { isInteger } from "../base/arguments.ts";
import * as layout from "../engine/layout.ts";
import { firstOf, secondOf } from "../engine/packed.ts";
import type { Core } from "./core.ts";
import type { Pending } from "./lock.ts";

/**
 * Releases one run of at most maxPages pages (0 to 512; 512 for no limit), or more to keep a huge page whole. Returns
 * its pages; 0 when nothing is left. Throws what `sys.unused` throws.
 */
export function scavengeOne(core: Core, maxPages: number): number {
  if (core.scavengeIsDirect) {
    // Read after the hook is looked up: a getter may move the heap, or dispose of it.
    const { at } = core.region;
    const released = at ? core.engine.releaseNow(at, maxPages) : layout.BUSY;
    if (released !== layout.BUSY) return Math.max(released, 0);
  }
  const pass = beginPass(core, maxPages);
  if (typeof pass === "number") return pass;
  try {
    for (;;) {
      const released = pass.step();
      if (released !== undefined) return released;
    }
  } finally {
    // An interrupted pass must not hold its pages for ever: the next call frees them.
    if (pass.held) {
      pass.next = core.lock.pending;
      core.lock.pending = pass;
    }
  }
}

/** Begins a pass and takes its first look. Returns the pages released, or the pass if it has to go on. */
export function beginPass(core: Core, maxPages: number): number | Pass {
  if (PALLOC_SHARED) core.lock.giveWay();
  core.lock.acquire();
  try {
    // Without `sys.unused` most passes end here, in one engine call.
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

/** `scavengeOne` for a thread that may not block. */
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
      pass.next = lock.pending;
      lock.pending = pass;
    }
  }
}

/** Begins a pass, step by step. Returns the pages released, or the pass. Caller must hold the lock. */
function newPass(core: Core, maxPages: number): number | Pass {
  const last = core.engine.scavengeTop(core.at) - 1;
  if (last < 0) return 0;
  const pass = new Pass(core, maxPages, last);
  return pass.look(true) ?? pass;
}

/** The pages that a pass has released; undefined while it goes on. */
type Outcome = number | undefined;

/** One search for a run to release, in steps. The heap may change between them. */
export class Pass implements Pending {
  /** Ref of the record of the pages that the hook runs on; 0 when there is none. */
  held = 0;
  /** Whether the next step takes the lock, and so may wait until the lock is free. */
  waits = false;
  next: Pending | undefined;
  readonly #core: Core;
  readonly #maxPages: number;
  /** Number of resets before the pass began. */
  readonly #generation: number;
  #step: () => Outcome = this.#walk;
  /** The chunk to look in. Only its pages below #ceiling count. */
  #chunk: number;
  #ceiling: number;
  /** The chunk that the last walk began below. */
  #from = 0;
  /** HEADER_CHANGES before that walk; -1 if the next look follows none. */
  #changes = -1;
  // The run that the last look found.
  #index = 0;
  #npages = 0;
  // HEADER_SCAV_END before and after that look.
  #before = 0;
  #after = 0;
  /** Whether the hook declined; undefined before it has run. */
  #declined: boolean | undefined;
  #thrown: { error: unknown } | undefined;

  /** @param last the page where the first look begins, going down */
  constructor(core: Core, maxPages: number, last: number) {
    this.#core = core;
    this.#maxPages = maxPages;
    this.#generation = core.get(layout.HEADER_SCAV_GENERATION);
    this.#chunk = Math.floor(last / layout.CHUNK_PAGES);
    this.#ceiling = last - this.#chunk * layout.CHUNK_PAGES + 1;
  }

  /** Takes the next step. Throws what the hook has thrown, once its pages are free again. */
  step(): Outcome {
    return this.#step();
  }

  /**
   * Looks for a candidate in the chunk. Releases it or, if there is a hook, holds it as in use for the hook. Caller
   * must hold the lock.
   */
  look(isFirst = false): Outcome {
    const core = this.#core;
    const { engine } = core;
    const chunk = this.#chunk;
    const hit = engine.findCandidate(core.at, chunk, this.#ceiling, this.#maxPages);
    const index = firstOf(hit);
    const npages = secondOf(hit);
    const page = chunk * layout.CHUNK_PAGES + index;
    // The first hit may lie above scavAddr, within the same word. Then scavAddr rises to it, as in Go.
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
    this.#step = this.#callHook;
    this.waits = false;
    this.held = core.hold(layout.KIND_RELEASING, { chunk, index }, npages, scavEnd);
    return undefined;
  }

  /** Takes the lock and looks in the chunk that was found, or further down in the same one. */
  #lookAgain(): Outcome {
    const core = this.#core;
    if (PALLOC_SHARED) core.lock.giveWay();
    return core.locked(() => {
      // If pages have been unmapped since, the walk may have read nodes that were elsewhere by then, and so have passed
      // over candidates.
      if (this.#changes >= 0 && this.#changes !== core.get(layout.HEADER_CHANGES)) {
        this.#chunk = this.#from;
        if (!this.#descend()) return this.#bottom();
      }
      return this.look();
    });
  }

  /** Walks down to the next chunk that may have a candidate. Takes no lock. */
  #walk(): Outcome {
    this.#step = this.#descend() ? this.#lookAgain : this.#endWalk;
    this.waits = true;
    return undefined;
  }

  /** The walk has reached the bottom. Walks once more with the lock held, as the first may have read stale data. */
  #endWalk(): Outcome {
    this.#step = this.#lookAgain;
    this.waits = true;
    return this.#core.locked(() => (this.#descend() ? undefined : this.#bottom()));
  }

  /** Nothing is left. Caller must hold the lock. */
  #bottom(): Outcome {
    this.#core.setF64(layout.HEADER_SCAV_END, this.#lowered(0));
    return 0;
  }

  /** Goes down to the next chunk that may have a candidate. Returns false if it sees none. */
  #descend(): boolean {
    const core = this.#core;
    this.#from = this.#chunk;
    this.#changes = core.get(layout.HEADER_CHANGES);
    const start = core.get(layout.HEADER_START);
    const below = this.#chunk - 1;
    const chunk = below < start ? -1 : core.engine.walk(core.at, below);
    if (!isInteger(chunk, start, below)) return false;
    this.#chunk = chunk;
    this.#ceiling = layout.CHUNK_PAGES;
    return true;
  }

  /** Calls `sys.unused` for the held pages. */
  #callHook(): Outcome {
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

  /** Frees the held pages, as scavenged unless the hook declined. In that case the pass goes on below them. */
  #endHook(): Outcome {
    this.#core.lock.finish(() => this.work());
    this.held = 0;
    if (this.#thrown) throw this.#thrown.error;
    if (!this.#declined) return this.#npages;
    this.#ceiling = this.#index;
    this.#changes = -1;
    this.waits = this.#ceiling > 0;
    this.#step = this.waits ? this.#lookAgain : this.#walk;
    return undefined;
  }

  /** Ends the hold as the hook decided. If the hook was never called, undoes the look. Caller must hold the lock. */
  work(): void {
    const core = this.#core;
    const current = this.#isCurrent();
    const passed = this.#declined && current ? layout.HOLD_DECLINED : layout.HOLD_PASSED;
    core.endHold(this.held, this.#declined === false ? layout.HOLD_RELEASED : passed);
    if (this.#declined === undefined && current && core.getF64(layout.HEADER_SCAV_END) === this.#after)
      core.setF64(layout.HEADER_SCAV_END, Math.min(this.#before, core.getF64(layout.HEADER_TOP)));
  }

  /** Returns HEADER_SCAV_END lowered to a page, or unchanged if scavAddr was reset since the pass began. */
  #lowered(page: number): number {
    const end = this.#core.getF64(layout.HEADER_SCAV_END);
    return this.#isCurrent() ? Math.min(page, end) : end;
  }

  /** Reports whether no reset has happened since the pass began. Caller must hold the lock. */
  #isCurrent(): boolean {
    return this.#core.get(layout.HEADER_SCAV_GENERATION) === this.#generation;
  }
}
