// Recovery: what is left of a worker that died. Its call, if it was in one, is in the journal. If it had not completed its
// entry, it has changed no more than the header's fields, which get back the values that it has saved; else the entry is
// carried out to its end, but for a growth, which is undone. What is derived from the bits may have been left half done, so
// it is rebuilt first: then finishing is a call like any other.

import type { Core } from "./core.ts";
import {
  CHUNK_PAGES,
  COUNTS_END,
  DATA_BYTES,
  FANOUT,
  FIELDS,
  FIELDS_END,
  FREE_END,
  HEADER_ROOT,
  HEADER_USED,
  JOURNAL_AGAIN,
  JOURNAL_CACHE,
  JOURNAL_CHUNK,
  JOURNAL_COUNTS,
  JOURNAL_FIELDS,
  JOURNAL_FREE,
  JOURNAL_MAP,
  JOURNAL_NPAGES,
  JOURNAL_OP,
  JOURNAL_SCAV,
  LEAF_DATA,
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
} from "./layout.ts";
import { pack, unpack } from "./palloc-data.ts";
import { addPart, NOTHING, type Sum } from "./sums.ts";

/** Finishes or undoes what `owner` was doing, and frees its page caches, the pages its hooks held, and its lock. */
export function recover(core: Core, owner: number): void {
  core.lock.seize(owner);
  try {
    finishCall(core);
    core.dropRecords(owner);
  } finally {
    core.lock.release();
  }
}

/** Brings the call that the journal speaks of to an end. */
function finishCall(core: Core): void {
  const { engine, at } = core;
  const op = core.get(JOURNAL_OP) & ~JOURNAL_AGAIN;
  for (let field = FIELDS; field < savedEnd(op); field += 4) core.set(field, core.get(field + UNDO));
  const root = core.get(HEADER_ROOT);
  const written = op & ~(JOURNAL_FREE | JOURNAL_COUNTS | JOURNAL_FIELDS);
  if (root && written) {
    // Chunks of a growth that is undone.
    const first = core.get(JOURNAL_CHUNK);
    const end = first + (op & JOURNAL_MAP ? core.get(JOURNAL_NPAGES) : 0);
    rebuild(core, root, (chunk) => chunk >= first && chunk < end);
    core.set(root + NODE_PARENT, 0);
  }
  if (!written || op & JOURNAL_MAP) core.set(JOURNAL_OP, 0);
  else {
    core.set(JOURNAL_OP, op | JOURNAL_AGAIN);
    engine.apply(at, engine.mappedLeafOf(at, core.get(JOURNAL_CHUNK)));
  }
  engine.memory.i32.fill(0, (at + JOURNAL_CACHE) >>> 2, ((at + JOURNAL_SCAV) >>> 2) + 2);
}

/** Where those fields of the header end that a call to be undone has saved. */
function savedEnd(op: number): number {
  if (op & JOURNAL_FREE) return FREE_END;
  if (op & JOURNAL_COUNTS) return COUNTS_END;
  return op & (JOURNAL_FIELDS | JOURNAL_MAP) ? FIELDS_END : 0;
}

/**
 * Computes what is derived from the bits anew, in a node and all below it, and takes new chunks and nodes out again: nodes
 * beyond HEADER_USED, and chunks for which `isNew` holds. Returns what the node sums up to.
 */
function rebuild(core: Core, ref: number, isNew: (chunk: number) => boolean): Sum {
  const shape = core.get(ref + NODE_SHAPE);
  const level = shape >>> LEVEL_SHIFT;
  const span = CHUNK_PAGES * FANOUT ** level;
  const whole = { ...NOTHING };
  let marks = 0;
  for (let slot = 0; slot < FANOUT; slot++) {
    const sum = level ? rebuildChild(core, ref, slot, isNew) : rebuildChunk(core, ref, slot, isNew);
    const part = ref + 4 * slot;
    if (level) {
      core.set(part + NODE_START, sum.start);
      core.set(part + NODE_MAX, sum.max);
      core.set(part + NODE_END, sum.end);
    } else {
      core.set(part + LEAF_SUMS, pack(sum));
    }
    if (sum.candidates) marks |= 1 << slot;
    addPart(whole, sum, slot * span, span);
  }
  core.set(ref + NODE_CANDIDATES, marks);
  whole.candidates = marks !== 0;
  return whole;
}

/** A part of a node of level 1 and up. */
function rebuildChild(core: Core, ref: number, slot: number, isNew: (chunk: number) => boolean): Sum {
  const link = ref + NODE_CHILDREN + 4 * slot;
  if (core.get(link) >= core.get(HEADER_USED)) core.set(link, 0);
  const child = core.get(link);
  return child ? rebuild(core, child, isNew) : NOTHING;
}

/** A chunk of a leaf. */
function rebuildChunk(core: Core, leaf: number, slot: number, isNew: (chunk: number) => boolean): Sum {
  const { engine } = core;
  const data = core.at + leaf + LEAF_DATA + slot * DATA_BYTES;
  const bit = 1 << slot;
  if (isNew(core.get(leaf + NODE_FIRST) + slot)) {
    core.set(leaf + NODE_SHAPE, core.get(leaf + NODE_SHAPE) & ~bit);
    engine.memory.i32.fill(0, data >>> 2, (data + DATA_BYTES) >>> 2);
  }
  if (!(core.get(leaf + NODE_SHAPE) & bit)) return NOTHING;
  const candidates = (core.get(leaf + NODE_CANDIDATES) & bit) !== 0;
  return { ...unpack(engine.summarize(data)), candidates };
}
