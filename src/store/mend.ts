// Mends a heap after an interrupted call. A call is interrupted when its stack overflows, its engine traps or its
// worker dies. In the first two cases the next call mends the heap; in the last one `recover` does. The journal says
// what the call was doing. The call is undone, or finished if it had begun to commit. Summaries may be half updated, so
// they are rebuilt from the bits.

import { PageAllocError } from "../base/errors.ts";
import * as layout from "../engine/layout.ts";
import type { State } from "./state.ts";
import { sumUp } from "./sums.ts";
import { eachPart, freeLists, mappedRuns, refsIn } from "./tree.ts";
import { commitUnmap } from "./unmapping.ts";

/** The call had begun to commit or was adding chunks: the saved fields must be restored. */
const SAVED = layout.JOURNAL_FREE | layout.JOURNAL_COUNTS | layout.JOURNAL_FIELDS;
/** The call was changing alloc bits before its commit. */
const MARKED = layout.JOURNAL_CLAIM | layout.JOURNAL_UNCLAIM | layout.JOURNAL_REFILL | layout.JOURNAL_FLUSH;
/** The call was changing bits that summaries depend on. */
const DERIVED = MARKED | layout.JOURNAL_MAP | layout.JOURNAL_CLEAR;

/**
 * Finishes or undoes the call in the journal. If this is interrupted too, it can be run again. Caller must hold the
 * lock. Throws PageAllocError ERR_CORRUPT if the heap cannot be mended.
 */
export function mend(state: State): void {
  const { engine, at } = state;
  const op = state.get(layout.JOURNAL_OP);
  if (op & layout.JOURNAL_BROKEN) throw broken();
  for (let field = layout.FIELDS; field < savedEnd(op); field += 4)
    state.set(field, state.get(field + layout.UNDO));
  const first = state.get(layout.JOURNAL_CHUNK) * layout.CHUNK_PAGES + state.get(layout.JOURNAL_INDEX);
  const end = first + state.get(layout.JOURNAL_NPAGES);
  if (op & MARKED && !(op & SAVED)) unmark(state, op, first, end);
  const root = state.get(layout.HEADER_ROOT);
  const free = op & layout.JOURNAL_MAP ? emptyFree(state) : new Set<number>();
  if (root && op & DERIVED) {
    // The root may point to a new parent that has just been undone.
    state.set(root + layout.NODE_PARENT, 0);
    rebuild(state, first, op & layout.JOURNAL_MAP ? end : first, free);
  }
  if (op & layout.JOURNAL_MAP) state.set(layout.JOURNAL_OP, 0);
  else if (PALLOC_SHARED && (op & layout.JOURNAL_PRUNE || (op & SAVED && op & layout.JOURNAL_UNMAP)))
    commitUnmap(state);
  else if (PALLOC_SHARED && op & SAVED) engine.redo(at);
  else state.set(layout.JOURNAL_OP, op & layout.JOURNAL_NEW || (op === layout.JOURNAL_DROP ? op : 0));
  const rest = state.get(layout.JOURNAL_OP);
  if (!rest) return;
  const ref = state.get(layout.JOURNAL_REF);
  const unmade = rest === layout.JOURNAL_NEW && state.get(layout.JOURNAL_DEAD) === layout.UNMADE >>> 0;
  engine.dropRecord(at, ref, unmade);
}

/** Returns the error for a heap that cannot be mended. */
export function broken(cause?: unknown): PageAllocError {
  const message = "a call was interrupted and the heap cannot be repaired; restore an earlier snapshot";
  return new PageAllocError("ERR_CORRUPT", message, { cause });
}

/** Returns the end of the header fields that were saved. */
function savedEnd(op: number): number {
  if (op & layout.JOURNAL_FREE) return layout.FREE_END;
  if (op & layout.JOURNAL_COUNTS) return layout.COUNTS_END;
  return op & layout.JOURNAL_FIELDS ? layout.FIELDS_END : 0;
}

/** Undoes changes to alloc bits. */
function unmark(state: State, op: number, first: number, end: number): void {
  const { engine } = state;
  const { u64 } = engine.memory;
  eachPart(state, first, end, (data, index, npages) => {
    if (!data) throw broken();
    if (op & layout.JOURNAL_CLAIM) engine.clearRange(data, index, npages);
    if (op & layout.JOURNAL_UNCLAIM) engine.setRange(data, index, npages);
    if (!(op & (layout.JOURNAL_REFILL | layout.JOURNAL_FLUSH))) return;
    const word = (data + (index >>> 3)) >>> 3;
    const pages = u64[(state.at + layout.JOURNAL_CACHE) >>> 3];
    u64[word] = op & layout.JOURNAL_REFILL ? u64[word] & ~pages : u64[word] | pages;
  });
}

/** Sets the fields of the free nodes to 0 again: the undone call had begun to use some. Returns the refs of all. */
function emptyFree(state: State): Set<number> {
  const { engine, at } = state;
  const free = new Set<number>();
  for (const list of freeLists) {
    for (const ref of refsIn(state, list)) {
      free.add(ref);
      for (const [from, to] of list.zeros) engine.memory.u8.fill(0, at + ref + from, at + ref + to);
    }
  }
  return free;
}

/**
 * Rebuilds all that is derived from the bits. Removes what was being added: nodes beyond HEADER_USED and those in
 * `free`, and the pages [added, end), which become holes again.
 */
function rebuild(state: State, added: number, end: number, free: Set<number>): void {
  const { engine } = state;
  sumUp(state, {
    node(ref, parent, first, level) {
      const isNode =
        state.get(ref + layout.NODE_PARENT) === parent &&
        state.get(ref + layout.NODE_FIRST) === first &&
        state.get(ref + layout.NODE_SHAPE) >>> layout.LEVEL_SHIFT === level;
      if (!isNode) throw broken();
      const links = ref + (level ? layout.NODE_CHILDREN : layout.LEAF_BLOCKS);
      for (let link = links; link < links + 4 * (level ? layout.FANOUT : 1); link += 4) {
        const ref = state.get(link);
        if (ref >= state.get(layout.HEADER_USED) || free.has(ref)) state.set(link, 0);
      }
    },
    chunk(leaf, bit, chunk, data) {
      const base = chunk * layout.CHUNK_PAGES;
      const first = Math.max(added, base);
      const npages = Math.min(end, base + layout.CHUNK_PAGES) - first;
      if (npages <= 0) return;
      const shape = state.get(leaf + layout.NODE_SHAPE);
      const partial = state.get(leaf + layout.LEAF_PARTIAL);
      if (shape & bit) {
        engine.setRange(data, first - base, npages);
        engine.setRange(data + layout.DATA_SCAVENGED, first - base, npages);
        if (mappedRuns(state, data).length) {
          state.set(leaf + layout.LEAF_PARTIAL, partial | bit);
          return;
        }
      }
      // The chunk has no other pages.
      state.set(leaf + layout.NODE_SHAPE, shape & ~bit);
      state.set(leaf + layout.LEAF_PARTIAL, partial & ~bit);
      engine.memory.u8.fill(0, data, data + layout.DATA_BYTES);
    },
    derived: (ref, field, value) => state.set(ref + field, value),
  });
}
