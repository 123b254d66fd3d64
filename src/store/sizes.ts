// The table of sizes of an arena: which blocks are live, and how many bytes of each were asked for. It lies in the
// region with the bits. Both engines use this one text. Callers must hold the lock.

import * as layout from "../engine/layout.ts";
import { placeOf } from "../engine/pages.ts";
import type { State } from "./state.ts";

/** A block: its first page, its units, and the slack of the last one in bytes. */
export interface Block {
  page: number;
  npages: number;
  slack: number;
}

/** Returns the bytes that a unit's slack takes. */
function slackBytes(state: State): number {
  const shift = state.get(layout.HEADER_PAGE_SHIFT);
  return shift <= 8 ? 1 : shift <= 16 ? 2 : 4;
}

/** Returns the bytes of a table for that many units. */
export function tableBytes(state: State, capacity: number): number {
  return layout.SIZES_STARTS + capacity / 4 + capacity * slackBytes(state);
}

/** Returns the address of a unit's slack. */
function slackAt(state: State, table: number, page: number): number {
  const columns = layout.SIZES_STARTS + state.get(table + layout.SIZES_CAPACITY) / 4;
  return state.at + table + columns + page * slackBytes(state);
}

/** Returns the index in memory's i32 of the first word of the bitmap of starts or, with `ends`, of that of ends. */
function bitmapOf(state: State, table: number, ends: boolean): number {
  const skipped = ends ? state.get(table + layout.SIZES_CAPACITY) / 8 : 0;
  return (state.at + table + layout.SIZES_STARTS + skipped) >>> 2;
}

/** Returns the first page from `from` on with a 1 in one of the bitmaps; SIZES_CAPACITY or more if there is none. */
function nextIn(state: State, table: number, ends: boolean, from: number): number {
  const { i32 } = state.engine.memory;
  const first = bitmapOf(state, table, ends);
  const words = state.get(table + layout.SIZES_CAPACITY) >>> 5;
  let word = from >>> 5;
  if (word >= words) return from;
  let bits = i32[first + word] & (-1 << (from & 31));
  while (!bits) {
    if (++word === words) return words * 32;
    bits = i32[first + word];
  }
  return word * 32 + 31 - Math.clz32(bits & -bits);
}

/** Returns the units of the block that starts at a page; 0 if none does. */
export function unitsAt(state: State, page: number): number {
  const table = state.get(layout.HEADER_SIZES);
  if (page >= state.get(table + layout.SIZES_CAPACITY)) return 0;
  const { i32 } = state.engine.memory;
  if (!((i32[bitmapOf(state, table, false) + (page >>> 5)] >>> (page & 31)) & 1)) return 0;
  return nextIn(state, table, true, page) - page + 1;
}

/** Returns the slack of the block that starts at a page, in bytes. */
export function slackOf(state: State, page: number): number {
  const { u8 } = state.engine.memory;
  const at = slackAt(state, state.get(layout.HEADER_SIZES), page);
  let slack = 0;
  for (let byte = slackBytes(state); byte-- > 0; ) slack = slack * 256 + u8[at + byte];
  return slack;
}

/** Returns the first block that starts at `from` or above, if there is one. */
export function blockFrom(state: State, from: number): Block | undefined {
  const table = state.get(layout.HEADER_SIZES);
  const page = nextIn(state, table, false, from);
  if (page >= state.get(table + layout.SIZES_CAPACITY)) return undefined;
  return { page, npages: unitsAt(state, page), slack: slackOf(state, page) };
}

/** Returns how many bytes of a block were asked for. */
function bytesOf(state: State, npages: number, slack: number): number {
  return npages * 2 ** state.get(layout.HEADER_PAGE_SHIFT) - slack;
}

/** A change of a block, and of pages with it. */
export interface Change {
  /** SIZES_TAKE or SIZES_FREE: what happens to the pages. */
  op: number;
  /** The pages that are taken or freed; there may be none. */
  first: number;
  npages: number;
  /** The block's first page. */
  block: number;
  /** Its units and its slack before, and after. 0 units: there is no block. */
  was: number;
  wasSlack: number;
  now: number;
  slack: number;
}

/** Changes a block as one with its pages. `make` changes the pages. If it throws, the block stays as it is. */
export function changeBlock(state: State, change: Change, make: () => void): void {
  const { op, first, npages, block, was, wasSlack, now, slack } = change;
  const { i32 } = state.engine.memory;
  const journal = (state.at + layout.JOURNAL_OP) >>> 2;
  const table = (state.at + state.get(layout.HEADER_SIZES)) >>> 2;
  try {
    begin(state, op, first, npages, block, was, wasSlack, now, slack);
    make();
    // If what follows is interrupted, the next call settles the change.
    i32[journal] = layout.JOURNAL_SIZES;
    complete(state);
  } finally {
    // What is in the journal is mended first. Else the pages have changed and the block with them, or neither has.
    if (!i32[journal]) i32[table + layout.SIZES_OP / 4] = 0;
  }
}

/** Writes down the change that is about to be made. */
export function begin(
  state: State,
  op: number,
  first: number,
  npages: number,
  block: number,
  was: number,
  wasSlack: number,
  now: number,
  slack: number,
): void {
  const { i32 } = state.engine.memory;
  const { at } = state.region;
  const table = (at + i32[(at + layout.HEADER_SIZES) >>> 2]) >>> 2;
  i32[table + layout.SIZES_FIRST / 4] = first;
  i32[table + layout.SIZES_NPAGES / 4] = npages;
  i32[table + layout.SIZES_BLOCK / 4] = block;
  i32[table + layout.SIZES_WAS / 4] = was;
  i32[table + layout.SIZES_WAS_SLACK / 4] = wasSlack;
  i32[table + layout.SIZES_NOW / 4] = now;
  i32[table + layout.SIZES_SLACK / 4] = slack;
  i32[table + layout.SIZES_OP / 4] = op;
}

/**
 * Makes the block as it was written down, and ends the change. The pages must have changed, and the journal must hold
 * JOURNAL_SIZES.
 */
export function complete(state: State): void {
  const { i32, f64, u8 } = state.engine.memory;
  const { at } = state.region;
  const header = at >>> 2;
  const ref = i32[header + layout.HEADER_SIZES / 4];
  const table = (at + ref) >>> 2;
  const block = i32[table + layout.SIZES_BLOCK / 4];
  const was = i32[table + layout.SIZES_WAS / 4];
  const now = i32[table + layout.SIZES_NOW / 4];
  const slack = i32[table + layout.SIZES_SLACK / 4];
  const shift = i32[header + layout.HEADER_PAGE_SHIFT / 4];
  const capacity = i32[table + layout.SIZES_CAPACITY / 4];
  const starts = table + layout.SIZES_STARTS / 4;
  const ends = starts + (capacity >>> 5);
  if (was) {
    const end = block + was - 1;
    i32[ends + (end >>> 5)] &= ~(1 << (end & 31));
  }
  const word = starts + (block >>> 5);
  const bit = 1 << (block & 31);
  if (now) {
    const end = block + now - 1;
    const bytes = shift <= 8 ? 1 : shift <= 16 ? 2 : 4;
    const to = (ends + (capacity >>> 5)) * 4 + block * bytes;
    u8[to] = slack;
    for (let byte = 1; byte < bytes; byte++) u8[to + byte] = slack >>> (8 * byte);
    i32[ends + (end >>> 5)] |= 1 << (end & 31);
    i32[word] |= bit;
  } else {
    i32[word] &= ~bit;
  }
  // The power of a number that is not constant takes 50 ns.
  const unit = shift < 31 ? 1 << shift : 2 ** shift;
  const requested = (now - was) * unit - slack + i32[table + layout.SIZES_WAS_SLACK / 4];
  f64[(at + ref + layout.SIZES_REQUESTED) >>> 3] += requested;
  i32[table + layout.SIZES_BLOCKS / 4] += (now ? 1 : 0) - (was ? 1 : 0);
  i32[table + layout.SIZES_OP / 4] = 0;
  i32[header + layout.JOURNAL_OP / 4] = 0;
}

/** Makes a block of that many units; of 0, makes it none. Does not count it. */
function put(state: State, table: number, block: number, npages: number, slack: number): void {
  if (npages) {
    const { u8 } = state.engine.memory;
    const at = slackAt(state, table, block);
    for (let byte = 0; byte < slackBytes(state); byte++) u8[at + byte] = slack >>> (8 * byte);
    setBit(state, table, true, block + npages - 1, true);
  }
  setBit(state, table, false, block, npages > 0);
}

/** Sets or clears a page's bit in one of the bitmaps. */
function setBit(state: State, table: number, ends: boolean, page: number, value: boolean): void {
  const { i32 } = state.engine.memory;
  const word = bitmapOf(state, table, ends) + (page >>> 5);
  const bit = 1 << (page & 31);
  i32[word] = value ? i32[word] | bit : i32[word] & ~bit;
}

/**
 * Ends the change of a block that an interrupted call has left, if there is one. Pages that it took are freed, since
 * nobody has got them; a change that frees pages is completed, if they are free. The heap must have been mended: the
 * pages have changed, all of them, or have not. Takes time for each block.
 */
export function settle(state: State): void {
  const table = state.get(layout.HEADER_SIZES);
  if (!table) return;
  addTable(state);
  const op = state.get(table + layout.SIZES_OP);
  if (!op) return;
  const npages = state.get(table + layout.SIZES_NPAGES);
  const { chunk, index } = placeOf(state.get(table + layout.SIZES_FIRST));
  const areInUse = npages > 0 && !state.engine.inspect(state.at, chunk, index, npages, true);
  if (op === layout.SIZES_TAKE && areInUse) state.engine.free(state.at, chunk, index, npages);
  const block = state.get(table + layout.SIZES_BLOCK);
  const was = state.get(table + layout.SIZES_WAS);
  const now = state.get(table + layout.SIZES_NOW);
  for (const units of [was, now]) if (units) setBit(state, table, true, block + units - 1, false);
  if (op === layout.SIZES_FREE && !areInUse)
    put(state, table, block, now, state.get(table + layout.SIZES_SLACK));
  else put(state, table, block, was, state.get(table + layout.SIZES_WAS_SLACK));
  const { blocks, requested } = totals(state);
  state.set(table + layout.SIZES_BLOCKS, blocks);
  state.setF64(table + layout.SIZES_REQUESTED, requested);
  state.set(table + layout.SIZES_OP, 0);
}

/** Counts the blocks, and the bytes that were asked for. */
function totals(state: State): { blocks: number; requested: number } {
  let blocks = 0;
  let requested = 0;
  for (let each = blockFrom(state, 0); each; each = blockFrom(state, each.page + each.npages)) {
    blocks++;
    requested += bytesOf(state, each.npages, each.slack);
  }
  return { blocks, requested };
}

/**
 * Makes a table for that many units, a multiple of CHUNK_PAGES, with the blocks of the table that it replaces. The
 * region must have room for it.
 */
export function makeTable(state: State, capacity: number): void {
  const old = state.get(layout.HEADER_SIZES);
  const table = state.get(layout.HEADER_USED);
  const { u8 } = state.engine.memory;
  u8.fill(0, state.at + table, state.at + table + tableBytes(state, capacity));
  if (old) {
    u8.copyWithin(state.at + table, state.at + old, state.at + old + layout.SIZES_STARTS);
    state.set(table + layout.SIZES_NEXT, old);
  }
  state.set(table + layout.SIZES_CAPACITY, capacity);
  if (old) {
    const was = state.get(old + layout.SIZES_CAPACITY);
    for (const ends of [false, true]) {
      const from = bitmapOf(state, old, ends) * 4;
      u8.copyWithin(bitmapOf(state, table, ends) * 4, from, from + was / 8);
    }
    const from = slackAt(state, old, 0);
    u8.copyWithin(slackAt(state, table, 0), from, from + was * slackBytes(state));
  }
  const used = table + tableBytes(state, capacity);
  const { i32 } = state.engine.memory;
  const header = state.at >>> 2;
  // Calls nothing between the two: a call could overflow the stack.
  i32[header + layout.HEADER_SIZES / 4] = table;
  i32[header + layout.HEADER_USED / 4] = used;
}

/** Counts the newest table in the bytes of the region that are in use: a worker may have died before it did. */
function addTable(state: State): void {
  const table = state.get(layout.HEADER_SIZES);
  if (table < state.get(layout.HEADER_USED)) return;
  state.set(layout.HEADER_USED, table + tableBytes(state, state.get(table + layout.SIZES_CAPACITY)));
}
