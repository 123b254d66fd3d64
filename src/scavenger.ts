// The scavenger: one pass over the heap, strictly from the highest address down. It looks in scavAddr's chunk, then walks
// down without the lock, from one chunk that may have a candidate to the next, and takes the lock only to look again and
// release. A reset during the walk wins: a pass that began before it never moves scavAddr again.

import type { Core } from "./core.ts";
import {
  CACHE_PAGES,
  CHUNK_PAGES,
  HEADER_END,
  HEADER_SCAV_END,
  HEADER_SCAV_GENERATION,
  HEADER_SCAV_STRICT,
  HEADER_START,
  KIND_RELEASING,
} from "./layout.ts";

/** Where a pass is. */
interface Pass {
  /** Number of resets before it began; -1 before its first look. */
  generation: number;
  /** The chunk to look in next. */
  chunk: number;
  /** Only pages of that chunk below this one count. */
  ceiling: number;
  /** Ref of the record of the pages that are held for the hook. */
  held: number;
}

/**
 * Releases one run of at most maxPages pages (0 to 512, 512 for no limit; more to keep a huge page whole). Returns its
 * pages, 0 when nothing is left. Throws what `sys.unused` throws.
 */
export function scavengeOne(core: Core, maxPages: number): number {
  const pass: Pass = { generation: -1, chunk: -1, ceiling: CHUNK_PAGES, held: 0 };
  do {
    while (pass.ceiling > 0) {
      const hit = take(core, pass, maxPages);
      if (!hit) break;
      if (!core.sys.unused || runUnused(core, pass, hit)) return hit >>> 16;
      pass.ceiling = hit & 0xffff;
    }
    if (pass.chunk < core.get(HEADER_START)) return 0;
  } while (descend(core, pass));
  core.locked(() => lower(core, pass, 0));
  return 0;
}

/** Starts the pass again from the top of the heap: what was passed over counts again. The lock is held. */
export function resetScavengeAddr(core: Core): void {
  core.setF64(HEADER_SCAV_END, core.get(HEADER_END) * CHUNK_PAGES);
  core.set(HEADER_SCAV_STRICT, 0);
  core.set(HEADER_SCAV_GENERATION, core.get(HEADER_SCAV_GENERATION) + 1);
}

/**
 * Looks in the pass's chunk, and releases what it finds, or holds it as in use so that a hook can run on it. Packed as by
 * findScavengeCandidate.
 */
function take(core: Core, pass: Pass, maxPages: number): number {
  const { engine } = core;
  const held = core.sys.unused;
  core.lock.acquire();
  try {
    const first = pass.generation < 0;
    if (first && !begin(core, pass)) return 0;
    if (held) core.makeRoomForRecord();
    const { at } = core;
    const { chunk, ceiling } = pass;
    const hit = engine.look(at, chunk, ceiling, maxPages);
    const start = hit & 0xffff;
    const page = chunk * CHUNK_PAGES + start;
    // A first find may lie above scavAddr, in the same word. Then scavAddr goes up to it, as in the origin.
    if (first && hit) core.setF64(HEADER_SCAV_END, page);
    else lower(core, pass, page);
    if (!hit) return 0;
    if (!held) {
      engine.scavengeRange(at, chunk, start, hit >>> 16);
    } else {
      engine.claim(at, chunk, start, hit >>> 16);
      pass.held = core.newRecord(KIND_RELEASING, { chunk, index: start }, hit >>> 16);
    }
    return hit;
  } finally {
    core.lock.release();
  }
}

/** Puts a new pass where scavAddr is. Returns false when nothing is left there. The lock is held. */
function begin(core: Core, pass: Pass): boolean {
  pass.generation = core.get(HEADER_SCAV_GENERATION);
  const last = core.getF64(HEADER_SCAV_END) - 1;
  pass.chunk = Math.floor(last / CHUNK_PAGES);
  if (pass.chunk < core.get(HEADER_START)) return false;
  const index = last - pass.chunk * CHUNK_PAGES;
  // All pages of scavAddr's word count, unless a hook has declined some of them.
  pass.ceiling = (core.get(HEADER_SCAV_STRICT) ? index : index | (CACHE_PAGES - 1)) + 1;
  return true;
}

/** Moves scavAddr down to just below a page, unless it was reset since the pass began. The lock is held. */
function lower(core: Core, pass: Pass, page: number): void {
  if (core.get(HEADER_SCAV_GENERATION) !== pass.generation) return;
  if (page < core.getF64(HEADER_SCAV_END)) core.setF64(HEADER_SCAV_END, page);
}

/** Walks down to the next chunk that may have a candidate. Returns false at the bottom. Takes no lock. */
function descend(core: Core, pass: Pass): boolean {
  const below = pass.chunk - 1;
  if (below < core.get(HEADER_START)) return false;
  pass.chunk = core.engine.walk(core.at, below);
  pass.ceiling = CHUNK_PAGES;
  return pass.chunk >= 0;
}

/** Runs `sys.unused` on pages that are held, then frees them. Returns whether they were released. */
function runUnused(core: Core, { chunk, generation, held }: Pass, hit: number): boolean {
  const index = hit & 0xffff;
  const npages = hit >>> 16;
  let released = false;
  try {
    released = core.sys.unused?.(core.address({ chunk, index }), npages * core.pageSize) !== false;
  } finally {
    core.locked(() => {
      core.engine.dropRecord(core.at, held);
      core.engine.unclaim(core.at, chunk, index, npages);
      if (released) core.engine.scavengeRange(core.at, chunk, index, npages);
      else if (core.get(HEADER_SCAV_GENERATION) === generation) core.set(HEADER_SCAV_STRICT, 1);
    });
  }
  return released;
}
