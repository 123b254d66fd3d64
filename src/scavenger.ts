// The scavenger: one pass over the heap, strictly from the highest address down. It looks in scavAddr's chunk, then walks
// down without the lock, from one chunk that may have a candidate to the next, and takes the lock only to look again and
// release. A reset during the walk wins: a pass that began before it never moves scavAddr again.

import { isInteger } from "./args.ts";
import type { Core } from "./core.ts";
import {
  CHUNK_PAGES,
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

/** One search for a run to release: what others do between two of its steps it must take as it comes. */
export interface Pass {
  /** Each says whether the next one takes the lock, and may be put off until that is free; the last, what is released. */
  readonly steps: Generator<boolean, number>;
  /** Ref of the record of what the hook runs on; 0 when there is none. */
  held: number;
  /** How the hold ends; the lock is held. */
  readonly rest: Rest;
}

/**
 * Releases one run of at most maxPages pages (0 to 512, 512 for no limit; more to keep a huge page whole). Returns its
 * pages, 0 when nothing is left. Throws what `sys.unused` throws.
 */
export function scavengeOne(core: Core, maxPages: number): number {
  const pass = beginPass(core, maxPages);
  if (typeof pass === "number") return pass;
  try {
    for (;;) {
      const { done, value } = pass.steps.next();
      if (done) return value;
    }
  } finally {
    // Pages are not held for ever: the next call frees them.
    if (pass.held) {
      pass.rest.next = core.lock.rest;
      core.lock.rest = pass.rest;
    }
  }
}

/** Makes the first look of a pass. Returns the pages that it has released, or else the pass that is to go on. */
export function beginPass(core: Core, maxPages: number): number | Pass {
  core.lock.giveWay();
  return core.locked(() => {
    // Where no hook has to run, most passes end here, in one call of the engine.
    const released = core.sys.unused ? 0 : core.engine.release(core.at, maxPages);
    return released || newPass(core, maxPages);
  });
}

/** `scavengeOne` for a thread that may not wait for the lock. */
export async function scavengeOneAsync(core: Core, maxPages: number): Promise<number> {
  const { lock } = core;
  const pass = await lock.whenFree(() => beginPass(core, maxPages));
  if (typeof pass === "number") return pass;
  try {
    for (let waits = false; ; ) {
      const step: IteratorResult<boolean, number> = waits
        ? await lock.whenFree(() => pass.steps.next())
        : pass.steps.next();
      if (step.done) return step.value;
      waits = step.value;
    }
  } finally {
    if (pass.held) {
      pass.rest.next = lock.rest;
      lock.rest = pass.rest;
    }
  }
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

/** Makes a pass, and its first step. Returns the pages that it has released, or else the pass. The lock is held. */
function newPass(core: Core, maxPages: number): number | Pass {
  const { engine, lock } = core;
  const generation = core.get(HEADER_SCAV_GENERATION);
  const last = engine.scavengeTop(core.at) - 1;
  if (last < 0) return 0;
  // The chunk to look in, of which only pages below `ceiling` count.
  let chunk = Math.floor(last / CHUNK_PAGES);
  let ceiling = last - chunk * CHUNK_PAGES + 1;
  // What the last look has found.
  let index = 0;
  let npages = 0;
  // HEADER_SCAV_END before and after it.
  let before = 0;
  let after = 0;
  /** What the hook has said; undefined before it has run. */
  let declined: boolean | undefined;

  /** Whether scavAddr has not been reset since the pass began. The lock is held. */
  const isCurrent = () => core.get(HEADER_SCAV_GENERATION) === generation;

  /** Where scavAddr is once it has been moved down to just below a page: a reset since the pass began forbids that. */
  const lowered = (page: number) => {
    const end = core.getF64(HEADER_SCAV_END);
    return isCurrent() ? Math.min(page, end) : end;
  };

  /** Releases what the chunk has, or holds it as in use so that a hook can run on it. The lock is held. */
  const look = (isFirst = false) => {
    const hit = engine.look(core.at, chunk, ceiling, maxPages);
    index = hit & 0xffff;
    npages = hit >>> 16;
    const page = chunk * CHUNK_PAGES + index;
    before = core.getF64(HEADER_SCAV_END);
    // A first find may lie above scavAddr, in the same word. Then scavAddr goes up to it, as in the origin.
    after = isFirst && hit ? page : lowered(page);
    if (!hit) engine.pass(core.at, chunk, after);
    else if (core.sys.unused) pass.held = core.hold(KIND_RELEASING, { chunk, index }, npages, after);
    else engine.scavengeRange(core.at, chunk, index, npages, after);
  };

  /** Goes on to the next chunk downward that may have a candidate. Returns false when none is seen. Takes no lock. */
  const descend = () => {
    const start = core.get(HEADER_START);
    const next = chunk > start ? engine.walk(core.at, chunk - 1) : -1;
    if (!isInteger(next, start, chunk - 1)) return false;
    chunk = next;
    ceiling = CHUNK_PAGES;
    return true;
  };

  /** Ends the hold: as the hook has said or, if it could not even be called, as if nothing had been found. */
  const endHold = () => {
    const current = isCurrent();
    const passed = declined && current ? HOLD_DECLINED : HOLD_PASSED;
    core.endHold(pass.held, declined === false ? HOLD_RELEASED : passed);
    if (declined === undefined && current && core.getF64(HEADER_SCAV_END) === after)
      core.setF64(HEADER_SCAV_END, before);
  };

  function* takeSteps(): Generator<boolean, number> {
    for (look(true); ; core.locked(() => look())) {
      if (pass.held) {
        let thrown: { error: unknown } | undefined;
        declined = undefined;
        yield false;
        try {
          declined = core.sys.unused?.(core.address({ chunk, index }), npages * core.pageSize) === false;
        } catch (error) {
          declined = true;
          thrown = { error };
        }
        yield false;
        lock.finish(endHold);
        pass.held = 0;
        if (thrown) throw thrown.error;
        if (!declined) return npages;
      } else if (npages) return npages;
      // On below what was declined, in this chunk or the next.
      ceiling = index;
      if (!ceiling) {
        yield false;
        if (!descend()) {
          // At the bottom, as far as was seen without the lock: walks once more with it, so that nothing stale decides.
          yield true;
          const isBottom = core.locked(() => {
            if (descend()) return false;
            core.setF64(HEADER_SCAV_END, lowered(0));
            return true;
          });
          if (isBottom) return 0;
        }
      }
      yield true;
      lock.giveWay();
    }
  }

  const pass = { steps: takeSteps(), held: 0, rest: { work: endHold, next: undefined } };
  const { done, value } = pass.steps.next();
  return done ? value : pass;
}
