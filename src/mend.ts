// Mending: a call that has been broken off is undone, or finished if it had begun to commit. That happens to a call whose
// stack overflows, or whose engine traps, and then the next call mends the heap; or its worker has died, and `recover` does.
// The journal says what the call was about. What is derived from the bits may have been left half done, so it is rebuilt.

import { PageAllocError } from "./errors.ts";
import {
  CHUNK_PAGES,
  COUNTS_END,
  DATA_BYTES,
  DATA_SCAVENGED,
  FANOUT,
  FIELDS,
  FIELDS_END,
  FREE_END,
  HEADER_ROOT,
  HEADER_USED,
  JOURNAL_BROKEN,
  JOURNAL_CACHE,
  JOURNAL_CHUNK,
  JOURNAL_CLAIM,
  JOURNAL_CLEAR,
  JOURNAL_COUNTS,
  JOURNAL_DEAD,
  JOURNAL_DROP,
  JOURNAL_FIELDS,
  JOURNAL_FLUSH,
  JOURNAL_FREE,
  JOURNAL_INDEX,
  JOURNAL_MAP,
  JOURNAL_NEW,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  JOURNAL_REF,
  JOURNAL_REFILL,
  JOURNAL_UNCLAIM,
  LEAF_BLOCKS,
  LEAF_DATA,
  LEAF_PARTIAL,
  LEAF_SUMS,
  LEVEL_SHIFT,
  NODE_CANDIDATES,
  NODE_CHILDREN,
  NODE_END,
  NODE_FIRST,
  NODE_MAX,
  NODE_PARENT,
  NODE_SHAPE,
  NODE_START,
  UNDO,
  UNMADE,
} from "./layout.ts";
import { pack, unpack } from "./palloc-data.ts";
import type { State } from "./state.ts";
import { addPart, NOTHING, type Sum } from "./sums.ts";

/** The fields of the journal that say the commit has begun, or chunks were being added: what was saved is put back. */
const SAVED = JOURNAL_FREE | JOURNAL_COUNTS | JOURNAL_FIELDS;
/** What changes bits that others are derived from. */
const DERIVED =
  JOURNAL_MAP | JOURNAL_CLAIM | JOURNAL_UNCLAIM | JOURNAL_CLEAR | JOURNAL_REFILL | JOURNAL_FLUSH;

/** Pages [first, end), by number. */
interface Range {
  first: number;
  end: number;
}

/** Brings the call that the journal speaks of to an end. Can be broken off itself, and done again. The lock is held. */
export function mend(state: State): void {
  const { engine, at } = state;
  const op = state.get(JOURNAL_OP);
  if (op & JOURNAL_BROKEN) throw broken();
  for (let field = FIELDS; field < savedEnd(op); field += 4) state.set(field, state.get(field + UNDO));
  const first = state.get(JOURNAL_CHUNK) * CHUNK_PAGES + state.get(JOURNAL_INDEX);
  const range = { first, end: first + state.get(JOURNAL_NPAGES) };
  if (!(op & SAVED)) unmark(state, op, range);
  const root = state.get(HEADER_ROOT);
  if (root && op & DERIVED) {
    rebuild(state, root, op & JOURNAL_MAP ? range : { first: 0, end: 0 });
    state.set(root + NODE_PARENT, 0);
  }
  if (op & JOURNAL_MAP) state.set(JOURNAL_OP, 0);
  else if (op & SAVED) engine.redo(at);
  else state.set(JOURNAL_OP, op & JOURNAL_NEW || (op === JOURNAL_DROP ? op : 0));
  const rest = state.get(JOURNAL_OP);
  if (!rest) return;
  const ref = state.get(JOURNAL_REF);
  const unmade = rest === JOURNAL_NEW && state.get(JOURNAL_DEAD) === UNMADE >>> 0;
  engine.dropRecord(at, ref, unmade);
}

/** The error for a heap that could not be made whole. */
export function broken(cause?: unknown): PageAllocError {
  const message =
    "a call was broken off and the heap could not be made whole; go on with a snapshot from before";
  return new PageAllocError("ERR_CORRUPT", message, { cause });
}

/** Where those fields of the header end that have been saved. */
function savedEnd(op: number): number {
  if (op & JOURNAL_FREE) return FREE_END;
  if (op & JOURNAL_COUNTS) return COUNTS_END;
  return op & JOURNAL_FIELDS ? FIELDS_END : 0;
}

/** Puts alloc bits back that were being marked. */
function unmark(state: State, op: number, { first, end }: Range): void {
  const { engine } = state;
  const mark = op & JOURNAL_CLAIM ? engine.clearRange : op & JOURNAL_UNCLAIM ? engine.setRange : undefined;
  for (let page = first; mark && page < end; page += CHUNK_PAGES - (page % CHUNK_PAGES)) {
    mark(dataOf(state, page), page % CHUNK_PAGES, Math.min(end - page, CHUNK_PAGES - (page % CHUNK_PAGES)));
  }
  if (!(op & (JOURNAL_REFILL | JOURNAL_FLUSH))) return;
  const { i32 } = engine.memory;
  const word = (dataOf(state, first) >>> 2) + ((first % CHUNK_PAGES) >>> 5);
  for (let half = 0; half < 2; half++) {
    const pages = state.get(JOURNAL_CACHE + 4 * half);
    if (op & JOURNAL_REFILL) i32[word + half] &= ~pages;
    else i32[word + half] |= pages;
  }
}

/** Where the bitmaps of a page's chunk are in linear memory. */
function dataOf(state: State, page: number): number {
  const chunk = Math.floor(page / CHUNK_PAGES);
  const leaf = state.engine.mappedLeafOf(state.at, chunk) >>> 0;
  if (!leaf) throw broken();
  return leaf + LEAF_DATA + (chunk % FANOUT) * DATA_BYTES;
}

/**
 * Computes what is derived from the bits anew, in a node and all below it, and makes pages holes again that were being
 * added: nodes beyond HEADER_USED, and the pages of `undone`. Returns what the node sums up to.
 */
function rebuild(state: State, ref: number, undone: Range): Sum {
  const level = state.get(ref + NODE_SHAPE) >>> LEVEL_SHIFT;
  const span = CHUNK_PAGES * FANOUT ** level;
  const whole = { ...NOTHING };
  let marks = 0;
  if (!level && state.get(ref + LEAF_BLOCKS) >= state.get(HEADER_USED)) state.set(ref + LEAF_BLOCKS, 0);
  for (let slot = 0; slot < FANOUT; slot++) {
    const sum = level ? rebuildChild(state, ref, slot, undone) : rebuildChunk(state, ref, slot, undone);
    const part = ref + 4 * slot;
    if (level) {
      state.set(part + NODE_START, sum.start);
      state.set(part + NODE_MAX, sum.max);
      state.set(part + NODE_END, sum.end);
    } else {
      state.set(part + LEAF_SUMS, pack(sum));
    }
    if (sum.candidates) marks |= 1 << slot;
    addPart(whole, sum, slot * span, span);
  }
  state.set(ref + NODE_CANDIDATES, marks);
  whole.candidates = marks !== 0;
  return whole;
}

/** A part of a node of level 1 and up. */
function rebuildChild(state: State, ref: number, slot: number, undone: Range): Sum {
  const link = ref + NODE_CHILDREN + 4 * slot;
  if (state.get(link) >= state.get(HEADER_USED)) state.set(link, 0);
  const child = state.get(link);
  if (!child) return NOTHING;
  const level = state.get(ref + NODE_SHAPE) >>> LEVEL_SHIFT;
  const first = state.get(ref + NODE_FIRST) + slot * FANOUT ** level;
  const isChild =
    state.get(child + NODE_PARENT) === ref &&
    state.get(child + NODE_FIRST) === first &&
    state.get(child + NODE_SHAPE) >>> LEVEL_SHIFT === level - 1;
  if (!isChild) throw broken();
  return rebuild(state, child, undone);
}

/** A chunk of a leaf. */
function rebuildChunk(state: State, leaf: number, slot: number, undone: Range): Sum {
  const { engine } = state;
  const data = state.at + leaf + LEAF_DATA + slot * DATA_BYTES;
  const bit = 1 << slot;
  const base = (state.get(leaf + NODE_FIRST) + slot) * CHUNK_PAGES;
  const first = Math.max(undone.first, base);
  const n = Math.min(undone.end, base + CHUNK_PAGES) - first;
  if (n > 0) unmap(state, leaf, data, bit, first - base, n);
  if (!(state.get(leaf + NODE_SHAPE) & bit)) return NOTHING;
  const candidates = (state.get(leaf + NODE_CANDIDATES) & bit) !== 0;
  return { ...unpack(engine.summarize(data)), candidates };
}

/** Makes pages of a chunk holes again, and the chunk if it has no others. */
function unmap(state: State, leaf: number, data: number, bit: number, index: number, npages: number): void {
  const { engine } = state;
  const { i32 } = engine.memory;
  const words = data >>> 2;
  let kept = 0;
  let holes = 0;
  if (state.get(leaf + NODE_SHAPE) & bit) {
    engine.setRange(data, index, npages);
    engine.setRange(data + DATA_SCAVENGED, index, npages);
    for (let word = words; word < words + DATA_SCAVENGED / 4; word++) {
      kept |= ~(i32[word] & i32[word + DATA_SCAVENGED / 4]);
      holes |= i32[word] & i32[word + DATA_SCAVENGED / 4];
    }
  }
  if (!kept) {
    state.set(leaf + NODE_SHAPE, state.get(leaf + NODE_SHAPE) & ~bit);
    i32.fill(0, words, words + DATA_BYTES / 4);
  }
  const partial = state.get(leaf + LEAF_PARTIAL) & ~bit;
  state.set(leaf + LEAF_PARTIAL, kept && holes ? partial | bit : partial);
}
