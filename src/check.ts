// check: every invariant of a heap's state. It trusts nothing: what it reads may be any bytes, as those of a snapshot.

import { type Core, mostAddrBits } from "./core.ts";
import { PageAllocError } from "./errors.ts";
import {
  BITMAP_BYTES,
  CACHE_PAGES,
  CHUNK_PAGES,
  CHUNK_SHIFT,
  DATA_BYTES,
  DATA_SCAVENGED,
  FANOUT,
  HEADER_ADDR_BITS,
  HEADER_ALLOCS,
  HEADER_BYTES,
  HEADER_CHUNKS,
  HEADER_DEAD_RECORDS,
  HEADER_END,
  HEADER_FREES,
  HEADER_HOLDS,
  HEADER_HUGE_PAGES,
  HEADER_IN_USE,
  HEADER_MAGIC,
  HEADER_MIN_PAGES,
  HEADER_PAGE_SHIFT,
  HEADER_PEAK_IN_USE,
  HEADER_PEAK_RETAINED,
  HEADER_RECORDS,
  HEADER_RELEASED,
  HEADER_ROOT,
  HEADER_SCAV_END,
  HEADER_SCAV_STRICT,
  HEADER_SCAVENGED_TOTAL,
  HEADER_SCAVENGES,
  HEADER_SEARCH_CHUNK,
  HEADER_SEARCH_INDEX,
  HEADER_START,
  HEADER_USED,
  HEADER_VERSION,
  KIND_CACHE,
  KIND_DEAD,
  KIND_REUSING,
  LEAF_BYTES,
  LEAF_DATA,
  LEVEL_SHIFT,
  MAGIC,
  MAX_CHUNKS,
  NO_CHUNK,
  NODE_BYTES,
  NODE_CANDIDATES,
  NODE_CHILDREN,
  NODE_END,
  NODE_FIRST,
  NODE_MAX,
  NODE_PARENT,
  NODE_SHAPE,
  NODE_START,
  RECORD_BYTES,
  RECORD_CACHE,
  RECORD_CHUNK,
  RECORD_INDEX,
  RECORD_KIND,
  RECORD_NEXT,
  RECORD_NPAGES,
  RECORD_PREV,
  SUM_BITS,
  SUM_MASK,
  VERSION,
} from "./layout.ts";

/** What the tree adds up to. */
interface Tally {
  /** Bytes of all pieces seen. */
  bytes: number;
  /** Refs of all pieces seen. */
  readonly seen: Set<number>;
  chunks: number;
  inUse: number;
  released: number;
  /** First and last chunk of the heap; -1 before there is one. */
  first: number;
  last: number;
  /** First free page; Infinity when there is none. */
  firstFree: number;
}

/** What a node says of all its pages, computed anew. */
interface Sum {
  start: number;
  max: number;
  end: number;
  candidates: boolean;
}

/** Throws PageAllocError ERR_CORRUPT, naming the place, if any invariant does not hold. The lock is held. */
export function check(core: Core): void {
  checkOptions(core);
  const tally: Tally = {
    bytes: HEADER_BYTES,
    seen: new Set(),
    chunks: 0,
    inUse: 0,
    released: 0,
    first: -1,
    last: -1,
    firstFree: Infinity,
  };
  checkTree(core, tally);
  checkRecords(core, tally);
  expect(
    tally.bytes === core.get(HEADER_USED),
    "the header",
    `bytes in use are ${core.get(HEADER_USED)}, pieces take ${tally.bytes}`,
  );
  checkCounters(core, tally);
  checkCursors(core, tally);
}

/** Throws ERR_CORRUPT unless `holds`. */
function expect(holds: boolean, place: string, what: string): asserts holds {
  if (!holds) throw new PageAllocError("ERR_CORRUPT", `the heap's state is damaged in ${place}: ${what}`);
}

/** Whether a value is a power of two up to `max`. */
function isPowerOfTwo(value: number, max: number): boolean {
  return value > 0 && value <= max && (value & (value - 1)) === 0;
}

/** What the heap was made with. */
function checkOptions(core: Core): void {
  const place = "the header";
  expect(core.get(HEADER_MAGIC) === MAGIC, place, "it does not begin as one");
  expect(core.get(HEADER_VERSION) === VERSION, place, `layout version ${core.get(HEADER_VERSION)}`);
  const pageShift = core.get(HEADER_PAGE_SHIFT);
  const addrBits = core.get(HEADER_ADDR_BITS);
  expect(pageShift >= 0 && pageShift <= 39, place, `page size 2**${pageShift}`);
  const least = Math.max(32, pageShift + CHUNK_SHIFT);
  expect(addrBits >= least && addrBits <= mostAddrBits(pageShift), place, `${addrBits} bits of address`);
  expect(
    isPowerOfTwo(core.get(HEADER_MIN_PAGES), 64),
    place,
    `${core.get(HEADER_MIN_PAGES)} pages released at least`,
  );
  const hugePages = core.get(HEADER_HUGE_PAGES);
  expect(
    hugePages === 0 || isPowerOfTwo(hugePages, 2 * CHUNK_PAGES),
    place,
    `${hugePages} pages per huge page`,
  );
  const used = core.get(HEADER_USED);
  expect(
    used >= HEADER_BYTES && used <= core.region.bytes,
    place,
    `${used} bytes in use of ${core.region.bytes}`,
  );
}

/** Makes sure that a piece lies within the region. */
function expectInside(core: Core, ref: number, bytes: number, place: string): void {
  const inside = ref >= HEADER_BYTES && ref % 16 === 0 && ref + bytes <= core.get(HEADER_USED);
  expect(inside, place, `ref ${ref} is outside the region`);
}

/** Notes a piece of the region. */
function claimPiece(core: Core, tally: Tally, ref: number, bytes: number, place: string): void {
  expectInside(core, ref, bytes, place);
  expect(!tally.seen.has(ref), place, `ref ${ref} is in two places`);
  tally.seen.add(ref);
  tally.bytes += bytes;
}

/** The tree from its root down. */
function checkTree(core: Core, tally: Tally): void {
  const root = core.get(HEADER_ROOT);
  if (!root) return;
  expectInside(core, root, NODE_BYTES, "the header's root");
  const level = core.get(root + NODE_SHAPE) >>> LEVEL_SHIFT;
  expect(level < 10, `the root at ${root}`, `level ${level}`);
  const first = core.get(root + NODE_FIRST);
  checkNode(core, tally, root, 0, first, level);
}

/** A node and all below it. Returns what it sums up to. */
function checkNode(core: Core, tally: Tally, ref: number, parent: number, first: number, level: number): Sum {
  const place = `the node at ${ref}`;
  claimPiece(core, tally, ref, level ? NODE_BYTES : LEAF_BYTES, place);
  expect(
    core.get(ref + NODE_PARENT) === parent,
    place,
    `its parent is ${core.get(ref + NODE_PARENT)}, not ${parent}`,
  );
  expect(
    core.get(ref + NODE_FIRST) === first,
    place,
    `its first chunk is ${core.get(ref + NODE_FIRST)}, not ${first}`,
  );
  const span = FANOUT ** level;
  expect(first >= 0 && first % (span * FANOUT) === 0, place, `its first chunk is ${first}`);
  const shape = core.get(ref + NODE_SHAPE);
  expect(shape >>> LEVEL_SHIFT === level && (level === 0 || !(shape & 0xff)), place, `its shape is ${shape}`);
  const candidates = core.get(ref + NODE_CANDIDATES);
  expect(candidates >>> FANOUT === 0, place, `its candidates are ${candidates}`);
  const whole: Sum = { start: 0, max: 0, end: 0, candidates: candidates !== 0 };
  let any = false;
  for (let slot = 0; slot < FANOUT; slot++) {
    const part = `part ${slot} of ${place}`;
    const sum = level
      ? checkChild(core, tally, ref, slot, first + slot * span, level)
      : checkChunk(core, tally, ref, slot, first + slot, part);
    any ||= sum !== null;
    checkPart(core, ref, slot, part, sum, level);
    append(whole, sum, slot, span * CHUNK_PAGES);
  }
  expect(any, place, "there is no chunk below it");
  return whole;
}

/** A part's columns against what lies below it. */
function checkPart(
  core: Core,
  ref: number,
  slot: number,
  place: string,
  sum: Sum | null,
  level: number,
): void {
  const at = ref + 4 * slot;
  const { start, max, end, candidates } = sum ?? { start: 0, max: 0, end: 0, candidates: false };
  const stored = [core.get(at + NODE_START), core.get(at + NODE_MAX), core.get(at + NODE_END)];
  const same = stored[0] === start && stored[1] === max && stored[2] === end;
  expect(same, place, `its summary is ${stored}, and should be ${[start, max, end]}`);
  const marked = ((core.get(ref + NODE_CANDIDATES) >>> slot) & 1) === 1;
  // A chunk that is marked may have lost its candidate; one that is not must have none.
  const right = level || !sum ? marked === candidates : marked || !candidates;
  expect(
    right,
    place,
    marked ? "it is marked as having a candidate" : "it is not marked as having a candidate",
  );
}

/** Adds a part to the summary of the parts before it. */
function append(whole: Sum, sum: Sum | null, slot: number, span: number): void {
  const { start, max, end } = sum ?? { start: 0, max: 0, end: 0 };
  if (whole.start === slot * span) whole.start += start;
  whole.max = Math.max(whole.max, max, whole.end + start);
  whole.end = start === span ? whole.end + span : end;
}

/** The node under a part, if there is one. */
function checkChild(
  core: Core,
  tally: Tally,
  ref: number,
  slot: number,
  first: number,
  level: number,
): Sum | null {
  const child = core.get(ref + NODE_CHILDREN + 4 * slot);
  return child ? checkNode(core, tally, child, ref, first, level - 1) : null;
}

/** The chunk under a part of a leaf, if there is one. */
function checkChunk(
  core: Core,
  tally: Tally,
  leaf: number,
  slot: number,
  chunk: number,
  place: string,
): Sum | null {
  const { engine } = core;
  const data = core.at + leaf + LEAF_DATA + slot * DATA_BYTES;
  const inUse = engine.popcntRange(data, 0, CHUNK_PAGES);
  const released = engine.popcntRange(data + DATA_SCAVENGED, 0, CHUNK_PAGES);
  if (!((core.get(leaf + NODE_SHAPE) >>> slot) & 1)) {
    expect(!inUse && !released, place, `chunk ${chunk} is a hole, and its bitmaps are not empty`);
    return null;
  }
  for (let word = 0; word < BITMAP_BYTES; word += 4) {
    const at = leaf + LEAF_DATA + slot * DATA_BYTES + word;
    const both = core.get(at) & core.get(at + DATA_SCAVENGED);
    expect(!both, `chunk ${chunk}`, `pages from ${word * 8} on are both in use and scavenged`);
  }
  tally.chunks++;
  tally.inUse += inUse;
  tally.released += released;
  if (tally.first < 0) tally.first = chunk;
  tally.last = chunk;
  if (inUse < CHUNK_PAGES && tally.firstFree === Infinity) {
    tally.firstFree = chunk * CHUNK_PAGES + (engine.find(data, 1, 0) & 0xffff);
  }
  const sum = engine.summarize(data);
  return {
    start: sum & SUM_MASK,
    max: (sum >>> SUM_BITS) & SUM_MASK,
    end: sum >>> (2 * SUM_BITS),
    candidates: Boolean(engine.hasScavengeCandidate(data, core.get(HEADER_MIN_PAGES))),
  };
}

/** The lists of records, live and dead. */
function checkRecords(core: Core, tally: Tally): void {
  let holds = 0;
  let prev = 0;
  const pages: Array<[first: number, limit: number, place: string]> = [];
  for (let ref = core.get(HEADER_RECORDS); ref; ref = core.get(ref + RECORD_NEXT)) {
    const place = `the record at ${ref}`;
    claimPiece(core, tally, ref, RECORD_BYTES, place);
    expect(
      core.get(ref + RECORD_PREV) === prev,
      place,
      `the one before is ${core.get(ref + RECORD_PREV)}, not ${prev}`,
    );
    const kind = core.get(ref + RECORD_KIND);
    expect(kind > KIND_DEAD && kind <= KIND_REUSING, place, `its kind is ${kind}`);
    if (kind !== KIND_CACHE) holds++;
    pages.push(...ownedPages(core, ref, place));
    prev = ref;
  }
  expect(
    core.get(HEADER_HOLDS) === holds,
    "the header",
    `${core.get(HEADER_HOLDS)} holds, and there are ${holds}`,
  );
  for (let ref = core.get(HEADER_DEAD_RECORDS); ref; ref = core.get(ref + RECORD_NEXT)) {
    const place = `the dead record at ${ref}`;
    claimPiece(core, tally, ref, RECORD_BYTES, place);
    expect(core.get(ref + RECORD_KIND) === KIND_DEAD, place, `its kind is ${core.get(ref + RECORD_KIND)}`);
  }
  pages.sort((a, b) => a[0] - b[0]);
  for (let i = 1; i < pages.length; i++) {
    expect(pages[i - 1][1] <= pages[i][0], pages[i][2], `${pages[i - 1][2]} has the same pages`);
  }
}

/** The runs of pages that a record owns, all of which are in use. */
function ownedPages(
  core: Core,
  ref: number,
  place: string,
): Array<[first: number, limit: number, place: string]> {
  const chunk = core.get(ref + RECORD_CHUNK);
  const index = core.get(ref + RECORD_INDEX);
  const npages = core.get(ref + RECORD_NPAGES);
  const isCache = core.get(ref + RECORD_KIND) === KIND_CACHE;
  const fits = chunk >= 0 && index >= 0 && index < CHUNK_PAGES && npages > 0;
  const sound = fits && (!isCache || (npages === CACHE_PAGES && index % CACHE_PAGES === 0));
  expect(sound, place, `it has ${npages} pages from page ${index} of chunk ${chunk}`);
  const runs: Array<[number, number, string]> = [];
  for (let i = 0; i < npages; i++) {
    if (isCache && !((core.get(ref + RECORD_CACHE + 4 * (i >>> 5)) >>> (i & 31)) & 1)) continue;
    const page = chunk * CHUNK_PAGES + index + i;
    const last = runs.at(-1);
    if (last?.[1] === page) last[1]++;
    else runs.push([page, page + 1, place]);
    if (!isCache) {
      runs[0][1] = page + npages;
      break;
    }
  }
  for (const [first, limit] of runs) {
    const at = Math.floor(first / CHUNK_PAGES);
    const answer = core.engine.inspect(core.at, at, first % CHUNK_PAGES, limit - first, true);
    expect(
      !answer,
      place,
      `not all of the pages from ${core.address(at, first % CHUNK_PAGES)} on are in use`,
    );
  }
  return runs;
}

/** The counters of the header against what the tree adds up to. */
function checkCounters(core: Core, tally: Tally): void {
  const place = "the header";
  const same = (name: string, field: number, value: number) =>
    expect(core.get(field) === value, place, `${name} is ${core.get(field)}, and should be ${value}`);
  expect(tally.chunks <= MAX_CHUNKS, place, `there are ${tally.chunks} chunks`);
  same("the number of chunks", HEADER_CHUNKS, tally.chunks);
  same("the first chunk", HEADER_START, Math.max(tally.first, 0));
  same("the end of the chunks", HEADER_END, tally.last + 1);
  const most = 2 ** (core.get(HEADER_ADDR_BITS) - core.get(HEADER_PAGE_SHIFT) - CHUNK_SHIFT);
  expect(tally.last < most, place, `chunk ${tally.last} is beyond the address space`);
  same("the number of pages in use", HEADER_IN_USE, tally.inUse);
  same("the number of pages released", HEADER_RELEASED, tally.released);
  const retained = tally.chunks * CHUNK_PAGES - tally.released;
  expect(core.get(HEADER_PEAK_IN_USE) >= tally.inUse, place, "the peak in use is below what is in use");
  expect(core.get(HEADER_PEAK_RETAINED) >= retained, place, "the peak retained is below what is retained");
  for (const field of [HEADER_ALLOCS, HEADER_FREES, HEADER_SCAVENGES, HEADER_SCAVENGED_TOTAL]) {
    const total = core.getF64(field);
    expect(Number.isSafeInteger(total) && total >= 0, place, `the total at ${field} is ${total}`);
  }
}

/** searchAddr and scavAddr. */
function checkCursors(core: Core, tally: Tally): void {
  const place = "the header";
  const chunk = core.get(HEADER_SEARCH_CHUNK);
  const index = core.get(HEADER_SEARCH_INDEX);
  expect(
    chunk >= 0 && index >= 0 && index < CHUNK_PAGES,
    place,
    `searchAddr is page ${index} of chunk ${chunk}`,
  );
  expect(
    chunk === NO_CHUNK || chunk < core.get(HEADER_END),
    place,
    `searchAddr is in chunk ${chunk}, above the heap`,
  );
  const search = chunk === NO_CHUNK ? Infinity : chunk * CHUNK_PAGES + index;
  expect(
    search <= tally.firstFree,
    place,
    `searchAddr is page ${search}, and page ${tally.firstFree} is free`,
  );
  const scavEnd = core.getF64(HEADER_SCAV_END);
  const sound = Number.isInteger(scavEnd) && scavEnd >= 0 && scavEnd <= core.get(HEADER_END) * CHUNK_PAGES;
  expect(sound, place, `scavAddr is below page ${scavEnd}`);
  const strict = core.get(HEADER_SCAV_STRICT);
  expect(strict === 0 || strict === 1, place, `the flag for declined pages is ${strict}`);
}
