// The scavenger: one pass over the heap, strictly from the highest address down. It looks in scavAddr's chunk, then walks
// down without the lock, from one chunk that may have a candidate to the next, and takes the lock only to look again and
// release. A reset during the walk wins: a pass that began before it never moves scavAddr again.

import { isInteger } from "./args.ts";
import type { Core } from "./core.ts";
import {
  CHUNK_PAGES,
  HEADER_LOCK,
  HEADER_SCAV_END,
  HEADER_SCAV_GENERATION,
  HEADER_START,
  HEADER_TOP,
  HOLD_DECLINED,
  HOLD_PASSED,
  HOLD_RELEASED,
  KIND_RELEASING,
} from "./layout.ts";
import type { Rest } from "./lock.ts";
import { type Place, placeOf } from "./place.ts";

/** Pages that an engine scavenges in one call: it counts them in 32 bits. Only a heap that is mostly holes has more. */
const MOST_AT_ONCE = 2 ** 31;

/** What a pass does next: with the lock, or without. */
type Step = "look" | "walk" | "runHook" | "endHook" | "endWalk" | "done";

/**
 * Releases one run of at most maxPages pages (0 to 512, 512 for no limit; more to keep a huge page whole). Returns its
 * pages, 0 when nothing is left. Throws what `sys.unused` throws.
 */
export function scavengeOne(core: Core, maxPages: number): number {
  const pass = beginPass(core, maxPages);
  if (typeof pass === "number") return pass;
  try {
    while (pass.next !== "done") pass.step();
  } finally {
    // Pages are not held for ever: the next call frees them.
    if (pass.held) {
      pass.rest.next = core.lock.rest;
      core.lock.rest = pass.rest;
    }
  }
  return pass.released;
}

/** Makes the first look of a pass. Returns the pages that it has released, or else the pass that is to go on. */
export function beginPass(core: Core, maxPages: number): number | Pass {
  core.lock.giveWay();
  core.lock.acquire();
  try {
    // Where no hook has to run, most passes end here, in one call of the engine.
    const released = core.sys.unused ? 0 : core.engine.release(core.at, maxPages);
    if (released) return Math.max(released, 0);
    const pass = new Pass(core, maxPages);
    pass.look();
    return pass;
  } finally {
    try {
      core.lock.release();
    } catch {
      core.engine.memory.i32[(core.region.at + HEADER_LOCK) >>> 2] = 0;
    }
  }
}

/** `scavengeOne` for a thread that may not wait for the lock. */
export async function scavengeOneAsync(core: Core, maxPages: number): Promise<number> {
  const pass = await core.lock.whenFree(() => beginPass(core, maxPages));
  if (typeof pass === "number") return pass;
  try {
    while (pass.next !== "done") {
      // Steps without the lock, and the one that must be taken whatever happens.
      if (pass.next === "walk" || pass.next === "runHook" || pass.next === "endHook") pass.step();
      else await core.lock.whenFree(() => pass.step());
    }
  } finally {
    if (pass.held) {
      pass.rest.next = core.lock.rest;
      core.lock.rest = pass.rest;
    }
  }
  return pass.released;
}

/** Marks those pages as scavenged that are free and unscavenged. Returns how many those are. The lock is held. */
export function scavengePages(core: Core, { chunk, index }: Place, npages: number): number {
  const first = chunk * CHUNK_PAGES + index;
  const end = Math.min(first + npages, core.getF64(HEADER_TOP));
  let released = 0;
  for (let page = first; page < end; page += MOST_AT_ONCE) {
    const at = placeOf(page);
    const n = Math.min(end - page, MOST_AT_ONCE);
    released += core.engine.scavengeRange(core.at, at.chunk, at.index, n, core.getF64(HEADER_SCAV_END));
  }
  return released;
}

/** One search for a run to release, step by step: what others do between two steps it must take as it comes. */
export class Pass {
  /** Pages released, once it is done. */
  released = 0;
  next: Step = "look";
  readonly #core: Core;
  readonly #maxPages: number;
  /** Number of resets before the first look. */
  #generation = 0;
  /** The chunk to look in; -1 before the first look. */
  #chunk = -1;
  /** Only pages of that chunk below this one count. */
  #ceiling = CHUNK_PAGES;
  /** Ref of the record of what the hook runs on; 0 when there is none. */
  held = 0;
  /** How the hold ends; the lock is held. */
  readonly rest: Rest = { work: () => this.#release(), next: undefined };
  /** What the hook runs on, packed as by findScavengeCandidate. */
  #hit = 0;
  /** What the hook has said; undefined before it has run. */
  #declined: boolean | undefined;
  /** HEADER_SCAV_END before and after the hold. */
  #scavEnds = [0, 0];
  /** What the hook threw. */
  #thrown: { error: unknown } | undefined;

  constructor(core: Core, maxPages: number) {
    this.#core = core;
    this.#maxPages = maxPages;
  }

  /** Takes the next step. The last one throws what the hook has thrown. */
  step(): void {
    const { next } = this;
    if (next === "look") {
      this.#core.lock.giveWay();
      this.#core.locked(() => this.look());
    } else if (next === "walk") this.#walk();
    else if (next === "runHook") this.#runHook();
    else if (next === "endHook") this.#endHook();
    else if (next === "endWalk") this.#endWalk();
  }

  /**
   * Looks in the chunk, which the first time is scavAddr's, and releases what it finds, or holds it as in use so that a hook
   * can run on it. The lock is held.
   */
  look(): void {
    const core = this.#core;
    const first = this.#chunk < 0;
    if (first && !this.#begin()) {
      this.next = "done";
      return;
    }
    const hit = core.engine.look(core.at, this.#chunk, this.#ceiling, this.#maxPages);
    const page = this.#chunk * CHUNK_PAGES + (hit & 0xffff);
    // A first find may lie above scavAddr, in the same word. Then scavAddr goes up to it, as in the origin.
    this.#settle(hit, first && hit ? page : this.#lowered(page));
  }

  /** Puts the pass where scavAddr is. Returns false when nothing is left there. The lock is held. */
  #begin(): boolean {
    const core = this.#core;
    this.#generation = core.get(HEADER_SCAV_GENERATION);
    const last = core.engine.scavengeTop(core.at) - 1;
    this.#chunk = Math.floor(last / CHUNK_PAGES);
    this.#ceiling = last - this.#chunk * CHUNK_PAGES + 1;
    return last >= 0;
  }

  /** Does what is to be done with a look's hit, or without one. The lock is held. */
  #settle(hit: number, scavEnd: number): void {
    const core = this.#core;
    const chunk = this.#chunk;
    const index = hit & 0xffff;
    const npages = hit >>> 16;
    if (!hit) {
      core.engine.pass(core.at, chunk, scavEnd);
      this.next = "walk";
    } else if (core.sys.unused) {
      this.#scavEnds = [core.getF64(HEADER_SCAV_END), scavEnd];
      this.#hit = hit;
      this.held = core.hold(KIND_RELEASING, { chunk, index }, npages, scavEnd);
      this.next = "runHook";
    } else {
      core.engine.scavengeRange(core.at, chunk, index, npages, scavEnd);
      this.released = npages;
      this.next = "done";
    }
  }

  /** Where scavAddr is once it has been moved down to just below a page: a reset since the pass began forbids that. */
  #lowered(page: number): number {
    const core = this.#core;
    const end = core.getF64(HEADER_SCAV_END);
    return this.#isCurrent() ? Math.min(page, end) : end;
  }

  /** Whether scavAddr has not been reset since the pass began. The lock is held. */
  #isCurrent(): boolean {
    return this.#core.get(HEADER_SCAV_GENERATION) === this.#generation;
  }

  /** Walks down to the next chunk that may have a candidate. Takes no lock. */
  #walk(): void {
    this.next = this.#descend() ? "look" : "endWalk";
  }

  /** Goes on to the next chunk downward that may have a candidate. Returns false when none is seen. */
  #descend(): boolean {
    const core = this.#core;
    const below = this.#chunk - 1;
    const start = core.get(HEADER_START);
    if (below < start) return false;
    const chunk = core.engine.walk(core.at, below);
    if (!isInteger(chunk, start, below)) return false;
    this.#chunk = chunk;
    this.#ceiling = CHUNK_PAGES;
    return true;
  }

  /** At the bottom, as far as was seen without the lock: walks once more with it, so that nothing stale decides. */
  #endWalk(): void {
    this.#core.locked((core) => {
      if (this.#descend()) {
        this.next = "look";
        return;
      }
      core.setF64(HEADER_SCAV_END, this.#lowered(0));
      this.next = "done";
    });
  }

  /** Runs `sys.unused` on the pages that are held. */
  #runHook(): void {
    const core = this.#core;
    const place = { chunk: this.#chunk, index: this.#hit & 0xffff };
    this.next = "endHook";
    try {
      this.#declined = core.sys.unused?.(core.address(place), (this.#hit >>> 16) * core.pageSize) === false;
    } catch (error) {
      this.#declined = true;
      this.#thrown = { error };
    }
  }

  /** Frees the pages again, and scavenges them unless the hook declined: then the pass goes on below them. */
  #endHook(): void {
    this.#core.lock.finish(this.rest.work);
    this.held = 0;
    if (!this.#declined) this.released = this.#hit >>> 16;
    this.#ceiling = this.#hit & 0xffff;
    this.next = !this.#declined || this.#thrown ? "done" : this.#ceiling ? "look" : "walk";
    if (this.#thrown) throw this.#thrown.error;
  }

  /** Ends the hold: as the hook has said or, if it could not even be called, as if nothing had been found. */
  #release(): void {
    const core = this.#core;
    const current = this.#isCurrent();
    const [before, after] = this.#scavEnds;
    const declined = this.#declined && current ? HOLD_DECLINED : HOLD_PASSED;
    core.endHold(this.held, this.#declined === false ? HOLD_RELEASED : declined);
    if (this.#declined === undefined && current && core.getF64(HEADER_SCAV_END) === after)
      core.setF64(HEADER_SCAV_END, before);
  }
}
