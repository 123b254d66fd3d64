// The state of a heap, as bytes. This file is compiled into both engines and is the only place that knows an offset.
//
// A heap is one region of linear memory that starts with a header. After it come pieces, in the order in which they
// were made and never moved: nodes of the radix tree, records of pages that are away from the heap, and indexes of the
// page caches among them. A piece is referred to by its *ref*, the byte offset from the start of the region; 0, the
// header's own place, stands for none. So a region can be moved, saved and restored as it is. All numbers are
// little-endian; `u32` unless said otherwise.
//
//   region  ┌────────┬───────────┬────────┬───────────┬───────────┬──────────┬─────┐
//           │ header │ node (0)  │ record │ node (0)  │ node (1)  │ node (0) │ ... │
//           └────────┴───────────┴────────┴───────────┴───────────┴──────────┴─────┘
//           0        448                                                          USED
//
//   tree          ┌───────────────┐      a node of level L covers 8^(L+1) chunks and sums up its 8 parts;
//     level 1     │0 1 2 3 4 5 6 7│      the root is as high as the span of the grown chunks wants,
//                 └──┬─────────┬──┘      parts without a grown chunk have no node
//               ┌────┘         └────┐
//     level 0   ┌───────────────┐   ┌───────────────┐
//     (leaf)    │0 1 2 3 4 5 6 7│   │8 9 . . . . . .│   each part is a chunk, its bitmaps in the leaf itself
//               └───────────────┘   └───────────────┘

/** Bytes of a cache line, of which all pieces are a multiple. */
export const LINE_BYTES = 64;

/** Pages per chunk: one chunk is two 512-bit bitmaps. */
export const CHUNK_PAGES = 512;
/** log2(CHUNK_PAGES). */
export const CHUNK_SHIFT = 9;
/** Parts of a node. */
export const FANOUT = 8;
/** log2(FANOUT). */
export const FANOUT_SHIFT = 3;

// PallocData: one chunk. Bit i % 64 of 64-bit word i / 64 belongs to page i.
//
//   0                  64                 128
//   ┌──────────────────┬──────────────────┐
//   │ alloc, 8 × u64   │ scavenged, 8×u64 │
//   └──────────────────┴──────────────────┘
//     1 = in use         1 = released and not touched since
//
// Both bits set: the page is a hole, never grown over, in a chunk that has other pages.

/** Bytes of one bitmap. */
export const BITMAP_BYTES = CHUNK_PAGES / 8;
/** Where the scavenged bitmap starts within PallocData. */
export const DATA_SCAVENGED = BITMAP_BYTES;
/** Bytes of PallocData. */
export const DATA_BYTES = DATA_SCAVENGED + BITMAP_BYTES;

// A chunk's summary, packed: start in bits 0-9, max in bits 10-19, end in bits 20-29; each 0 to 512 pages.

/** Width of one count in a packed summary. */
export const SUM_BITS = 10;
/** Mask of one count in a packed summary. */
export const SUM_MASK = (1 << SUM_BITS) - 1;
/** Packed summary of a chunk that is all free; 0 is that of one that is all in use, or a hole. */
export const SUM_FREE = CHUNK_PAGES | (CHUNK_PAGES << SUM_BITS) | (CHUNK_PAGES << (2 * SUM_BITS));

// Nodes of the radix tree. In a leaf the parts are chunks, and each one's summary is packed; above, the parts'
// summaries are three columns.
//
//   0       4       8             12           16                            48      52      56  64             1088
//   ┌───────┬───────┬─────────────┬────────────┬─────────────────────────────┬───────┬───────┬───┬──────────────┐
//   │parent │first  │level, mapped│ candidates │ packed summary × 8          │blocks │partial│ - │PallocData × 8│
//   │       │       │             │            ├─────────┬────────┬────────┬─┴───────┼───────┴───┼──────────────┘
//   │       │       │             │            │ start×8 │ max×8  │ end×8  │ child×8 │     -     │
//   └───────┴───────┴─────────────┴────────────┴─────────┴────────┴────────┴─────────┴───────────┘
//                                              16        48       80       112       144         192
//
// All pieces are a number of whole cache lines, and so start where one does: what a call reads and writes of a leaf is
// that line, and those of the bitmaps.

/** Ref of the node above; 0 in the root. */
export const NODE_PARENT = 0;
/** Index of the first chunk that the node covers. */
export const NODE_FIRST = 4;
/** Level in bits 8-15; below it, in a leaf, a bit for each chunk that has been grown over. */
export const NODE_SHAPE = 8;
/** How far the level is up in NODE_SHAPE. */
export const LEVEL_SHIFT = 8;
/** A bit for each part that may hold a scavenge candidate: set when pages are freed, cleared when a look finds none. */
export const NODE_CANDIDATES = 12;
/** Packed summaries of the chunks, in a leaf. */
export const LEAF_SUMS = 16;
/** Ref of the index of page caches whose blocks lie in a leaf; 0 while there has been none. */
export const LEAF_BLOCKS = 48;
/** A bit for each chunk of a leaf that has both holes and pages that have been grown over. */
export const LEAF_PARTIAL = 52;
/** The bitmaps of the chunks, in a leaf. */
export const LEAF_DATA = LINE_BYTES;
/** Free pages at the start of each part, in a node of level 1 and up. */
export const NODE_START = 16;
/** Longest run of free pages in each part. */
export const NODE_MAX = NODE_START + FANOUT * 4;
/** Free pages at the end of each part. */
export const NODE_END = NODE_MAX + FANOUT * 4;
/** Refs of the nodes below; 0 where there is none. */
export const NODE_CHILDREN = NODE_END + FANOUT * 4;
/** Levels of a tree over all the chunks that there can be. */
export const LEVELS = 10;
/** Bytes of a node of level 1 and up: 144, in whole cache lines. */
export const NODE_BYTES = 3 * LINE_BYTES;
/** Bytes of a leaf. */
export const LEAF_BYTES = LEAF_DATA + FANOUT * DATA_BYTES;

/** Bytes of an index of page caches: for each 64-page block of a leaf, the ref of the first of its caches. */
export const BLOCKS_BYTES = FANOUT * (CHUNK_PAGES / 64) * 4;

// Record of pages that the bitmaps show as in use but that nobody got from `alloc`: a page cache, or a hold while a
// hook runs. Live caches form a list in both directions, and so do holds; dead records form a list through RECORD_NEXT.
// The caches of one block form a list of their own, so that a free finds those that it must ask.
//
//   0    64     68     72     76      80      84      88      92      96      104     112    116     120  192
//   ┌────┬──────┬──────┬──────┬───────┬───────┬───────┬───────┬───────┬───────┬───────┬──────┬───────┬────┐
//   │ -  │ next │ prev │ kind │ owner │ chunk │ index │npages │ taken │ cache │ scav  │ slot │beside │ -  │
//   └────┴──────┴──────┴──────┴───────┴───────┴───────┴───────┴───────┴───────┴───────┴──────┴───────┴────┘
//
// Workers take pages from their caches without the lock, so a record has a cache line of its own, between two that are
// empty: processors fetch lines in pairs, and two workers whose records are neighbours get half the rate.

/** Ref of the next record in the list; 0 at its end. */
export const RECORD_NEXT = LINE_BYTES;
/** Ref of the record before; 0 in the first. */
export const RECORD_PREV = 68;
/** One of the KIND_ numbers. */
export const RECORD_KIND = 72;
/** Number of the heap object that made the record. */
export const RECORD_OWNER = 76;
/** Chunk of the first page. */
export const RECORD_CHUNK = 80;
/** Index of the first page within its chunk; a multiple of 64 for a cache. */
export const RECORD_INDEX = 84;
/** Length of a hold in pages; 64 for a cache. 0 before a record has any, and once a hold has ended. */
export const RECORD_NPAGES = 88;
/**
 * What is being taken from a cache: place in bits 0-7, pages from bit 8 on; else 0. For an engine that cannot store 64
 * bits at once.
 */
export const RECORD_TAKEN = 92;
/** u64 of a cache: 1 = free, owned by the cache. */
export const RECORD_CACHE = 96;
/** u64 of a cache: 1 = scavenged. */
export const RECORD_SCAV = 104;
/** Ref of the word of an index that begins the list of its block's caches; 0 while a cache is in none. */
export const RECORD_SLOT = 112;
/** Ref of the next cache of the same block. */
export const RECORD_BESIDE = 116;
/** Bytes of a record. */
export const RECORD_BYTES = 3 * LINE_BYTES;

/** A dead record. */
export const KIND_DEAD = 0;
/** A page cache. */
export const KIND_CACHE = 1;
/** Pages held while `sys.unused` runs. */
export const KIND_RELEASING = 2;
/** Pages held while `sys.used` runs. */
export const KIND_REUSING = 3;

/** Pages that one page cache covers, and bits of a word. */
export const CACHE_PAGES = 64;

// Header. *Counts* are what alloc and free change, searchAddr among it. Numbers of pages are u32; what only goes up is
// f64.
//
//   0                8      16       64       116           128      176         192       256          416  448
//   ┌────────────────┬──────┬────────┬────────┬─────────────┬────────┬───────────┬─────────┬────────────┬────┐
//   │ magic, version │ lock │ counts │ fields │ shared, room│ fields │ owners …  │ journal │saved fields│ …  │
//   └────────────────┴──────┴────────┴────────┴─────────────┴────────┴───────────┴─────────┴────────────┴────┘
//
// A call that changes the heap does so in two steps, and says in the journal in which it is. First it *marks*: it
// brings pages into use or frees them, and keeps the summaries. All that can be undone from the journal alone. Then it
// *commits*: it changes the header's fields, the scavenged bits, and records. No commit calls a function, so that no
// stack overflow can interrupt it; and in a shared heap, whose workers may die anywhere, it saves the fields first, so
// that it can be done again. So a call that has been interrupted has either happened or not.
//
// What a call writes has to come from the core that had the lock before, at some 200 ns for each line that is waited
// for in turn. So the lock and the counts are one cache line, the journal and the saved counts one each, and what alloc
// and free only read is apart.

/** First word of every state. */
export const MAGIC = 0x6c6c6170;
/** Number of this layout; changes with every change to it. */
export const VERSION = 5;

export const HEADER_MAGIC = 0;
export const HEADER_VERSION = 4;
/**
 * 0 when free, else LOCK_HELD or LOCK_WAITED and, above them in a shared heap, the number of the object that holds it.
 */
export const HEADER_LOCK = 8;
/** Not 0 once a thread has had to wait for the lock; 0 again when one in no hurry has left it to others. */
export const HEADER_WANTED = 12;
/** f64 */
export const HEADER_FREES = 16;
/** Chunk of searchAddr, NO_CHUNK when nothing is free. */
export const HEADER_SEARCH_CHUNK = 24;
/** Page of searchAddr within its chunk. */
export const HEADER_SEARCH_INDEX = 28;
export const HEADER_IN_USE = 32;
export const HEADER_RELEASED = 36;
export const HEADER_PEAK_IN_USE = 40;
export const HEADER_PEAK_RETAINED = 44;
/** Pages of the latest alloc that had been scavenged. */
export const HEADER_LAST_SCAVENGED = 48;
/** 1 after a hook declined: what lies at or above scavAddr is passed over, to the page, until the next reset. */
export const HEADER_SCAV_STRICT = 52;
/** f64 */
export const HEADER_ALLOCS = 56;
/** Bytes of the region in use: where the next piece goes. */
export const HEADER_USED = 64;
/** Ref of the first live page cache. */
export const HEADER_RECORDS = 68;
/** Ref of the first dead record. */
export const HEADER_DEAD_RECORDS = 72;
/** Ref of the first hold. */
export const HEADER_HOLDS = 76;
/** Ref of the tree's root; 0 before the first grow. */
export const HEADER_ROOT = 80;
/** First chunk that has been grown over. */
export const HEADER_START = 84;
/** Chunk after the last one that has been grown over. */
export const HEADER_END = 88;
/** Chunks that have been grown over, if only in part. */
export const HEADER_CHUNKS = 92;
/** Pages that have been grown over. */
export const HEADER_PAGES = 96;
/** log2 of the page size in bytes. */
export const HEADER_PAGE_SHIFT = 100;
/** Addresses are below 2 to this power. */
export const HEADER_ADDR_BITS = 104;
/** Pages that are released together at the least: physPageSize / pageSize, at least 1. */
export const HEADER_MIN_PAGES = 108;
/** Pages per huge page, or 0 when there are none to keep whole. */
export const HEADER_HUGE_PAGES = 112;
/** 1 in a shared heap, whose calls save the fields; 0 in a heap of one thread, whose calls do not. */
export const HEADER_SHARED = 116;
/** Bytes that are set aside for the heap. */
export const HEADER_ROOM = 120;
/** f64, page number: the scavenger looks at pages below it, so scavAddr is its address - 1, and -1 at the bottom. */
export const HEADER_SCAV_END = 128;
/** f64 */
export const HEADER_SCAVENGES = 136;
/** f64 */
export const HEADER_SCAVENGED_TOTAL = 144;
/** f64, page number: the page after the last one that has been grown over. */
export const HEADER_TOP = 152;
/** Goes up whenever scavAddr is put to the top. */
export const HEADER_SCAV_GENERATION = 160;
/** 1 once scavAddr has been reset; before, each grow puts it to the top. */
export const HEADER_SCAV_RESET = 164;
/** Checksum of a snapshot; 0 in a heap. */
export const HEADER_CHECKSUM = 168;
/** How many heap objects have been attached so far: the number of the latest. */
export const HEADER_OWNERS = 176;
/** Goes up when the lock becomes free that others wait for: threads that may not block wait for that. */
export const HEADER_FREED = 180;

// The lock's word.
/** Held. */
export const LOCK_HELD = 1;
/** Held, and others may be waiting. */
export const LOCK_WAITED = 2;
/** How far the owner's number is up. */
export const LOCK_OWNER_SHIFT = 2;
/** The highest number of an owner: all bits that the word has for it. */
export const MAX_OWNERS = -1 >>> LOCK_OWNER_SHIFT;

// Journal: one entry.
/** What is being done: the sum of some JOURNAL_ bits, 0 between calls. */
export const JOURNAL_OP = 192;
/** First page of the range. */
export const JOURNAL_CHUNK = 196;
export const JOURNAL_INDEX = 200;
/** Length of the range. */
export const JOURNAL_NPAGES = 204;
/** u64, what a cache gets or gives back. */
export const JOURNAL_CACHE = 208;
/** u64, which of it is scavenged. */
export const JOURNAL_SCAV = 216;
/** Ref of the record that is made, filled or dropped. */
export const JOURNAL_REF = 224;
/** Refs of the records before and after one that is dropped; 0 where there is none. */
export const JOURNAL_NEXT = 228;
export const JOURNAL_PREV = 232;
/**
 * Ref of the first dead record once this one is made; UNMADE where it is none of those, or is dropped as if not made.
 */
export const JOURNAL_DEAD = 236;
/** No ref; signed, as the twin reads it. */
export const UNMADE = -1;
/** Kind and owner of a record that is made. */
export const JOURNAL_KIND = 240;
export const JOURNAL_OWNER = 244;
/** Ref of the cache that gets back what a hold was of. */
export const JOURNAL_TO = 248;
/** Pages of the range that are scavenged, or become so. */
export const JOURNAL_SCAVENGED = 252;
/** f64, what HEADER_SCAV_END becomes. */
export const JOURNAL_SCAV_END = 416;
/** Runs that are released. */
export const JOURNAL_RUNS = 424;

// The commit has begun, in a shared heap, and these fields are saved.
/** The counts that a free changes. */
export const JOURNAL_FREE = 1;
/** All counts. */
export const JOURNAL_COUNTS = 2;
/** All fields. */
export const JOURNAL_FIELDS = 4;

/**
 * Pages are grown over. The one entry that is undone to its end, in any heap: its nodes lie beyond the saved
 * HEADER_USED.
 */
export const JOURNAL_MAP = 8;
/** The range comes into use. */
export const JOURNAL_CLAIM = 16;
/** The range becomes free. */
export const JOURNAL_UNCLAIM = 32;
/** What is free of the range becomes scavenged. */
export const JOURNAL_SCAVENGE = 64;
/** The chunk has no candidate any more. */
export const JOURNAL_CLEAR = 128;
/** A record has been made for what comes next; by itself: is being made. */
export const JOURNAL_NEW = 256;
/** A record is dropped, after all else. */
export const JOURNAL_DROP = 512;
/** A cache gets the block at the start of the range. */
export const JOURNAL_REFILL = 1024;
/** A cache gives back what it has of that block. */
export const JOURNAL_FLUSH = 2048;
/** A cache gets back what it gave for a hook to run on. */
export const JOURNAL_RETURN = 4096;
/** It is an allocation, or a free, by a caller: totals count it. */
export const JOURNAL_COUNTED = 8192;
/** What an allocation has counted is taken back. */
export const JOURNAL_UNCOUNT = 16384;
/** A hook has declined. */
export const JOURNAL_DECLINED = 32768;
/** scavAddr moves. */
export const JOURNAL_MOVE = 65536;
/** The heap could not be made whole. */
export const JOURNAL_BROKEN = 131072;

/** Where the header's fields begin: with the counts, which are what alloc and free change. */
export const FIELDS = HEADER_FREES;
/** Where those that a free changes end. */
export const FREE_END = HEADER_RELEASED;
/** Where the counts end. `saveCounts` and `saveFree` copy them one by one, so both know what there is up to here. */
export const COUNTS_END = HEADER_USED;
/** Where the fields end. */
export const FIELDS_END = HEADER_OWNERS;
/** Offset of the saved fields from their own places: the saved counts begin a cache line. */
export const UNDO = 240;
/** Bytes of the header. */
export const HEADER_BYTES = 448;
/** Where searchAddr points when nothing is free: above every chunk. */
export const NO_CHUNK = 0x7fffffff;
/** Chunk indices are below 2 to this power. */
export const CHUNK_INDEX_BITS = 30;
/** Chunks that one heap can grow to: their pages are counted in 31 bits. */
export const MAX_CHUNKS = (1 << 22) - 1;

// What the engines' calls over ranges of pages answer.

/** The call was carried out. */
export const RANGE_DONE = 0;
/** A page of the range lies in a hole; nothing was changed. */
export const RANGE_NOT_MAPPED = 1;
/** A page of the range is free that must be in use, or the other way round; nothing was changed. */
export const RANGE_MISMATCH = 2;
/** A page of the range is in a page cache, or held while a hook runs on it; nothing was changed. */
export const RANGE_OWNED = 3;

// How a hold ends.
/** The pages stay in use: `sys.used` has returned. */
export const HOLD_USED = 0;
/** They are free and scavenged: `sys.unused` has returned. */
export const HOLD_RELEASED = 1;
/** They are free, and what lies at or above scavAddr is passed over from now on: `sys.unused` declined. */
export const HOLD_DECLINED = 2;
/**
 * They are free: whoever ran the hook has died, or scavAddr has been reset since, or the cache that they are of is
 * gone.
 */
export const HOLD_PASSED = 3;
/** They are free, as if `alloc` had not been called: `sys.used` threw. */
export const HOLD_UNDONE = 4;

// A batch: operations and results as columns of f64, so that both engines read what JavaScript has written.
//
//   operation  ┌──────┬────────┬───────┬────────┐     result  ┌───────┬───────────┐
//              │ code │ npages │ where │ offset │             │ value │ scavenged │
//              └──────┴────────┴───────┴────────┘             └───────┴───────────┘

/** Numbers of an operation. */
export const OP_NUMBERS = 4;
/** Numbers of a result. */
export const RESULT_NUMBERS = 2;
/** Allocates; `where` is the number of the page cache to ask first, or -1. The value is the base address. */
export const OP_ALLOC = 0;
/** Takes exactly the pages from address `where` on. The value is that address. */
export const OP_ALLOC_RANGE = 1;
/** Frees the pages from address `where` on. The value is that address. */
export const OP_FREE = 2;
/** Frees the pages from `offset` bytes after the value of operation number `where` on, an earlier one of the batch. */
export const OP_FREE_RESULT = 3;
/** Marks what is free of the pages from address `where` on as scavenged. The value is how many bytes that were. */
export const OP_SCAVENGE_RANGE = 4;
