// The state of a heap, as bytes. This file is compiled into both engines and is the only place that knows an offset.
//
// A heap is one region of linear memory that starts with a header. After it come pieces, in the order in which they
// were made and never moved: nodes of the radix tree, and records of pages that are away from the heap. A piece is
// referred to by its *ref*, the byte offset from the start of the region; 0, the header's own place, stands for none.
// So a region can be moved, saved and restored as it is. All numbers are little-endian; `u32` unless said otherwise.
//
//   region  ┌────────┬───────────┬────────┬───────────┬───────────┬──────────┬─────┐
//           │ header │ node (0)  │ record │ node (0)  │ node (1)  │ node (0) │ ... │
//           └────────┴───────────┴────────┴───────────┴───────────┴──────────┴─────┘
//           0        352                                                          USED
//
//   tree          ┌───────────────┐      a node of level L covers 8^(L+1) chunks and sums up its 8 parts;
//     level 1     │0 1 2 3 4 5 6 7│      the root is as high as the span of the grown chunks wants,
//                 └──┬─────────┬──┘      parts without a grown chunk have no node
//               ┌────┘         └────┐
//     level 0   ┌───────────────┐   ┌───────────────┐
//     (leaf)    │0 1 2 3 4 5 6 7│   │8 9 . . . . . .│   each part is a chunk, its bitmaps in the leaf itself
//               └───────────────┘   └───────────────┘

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
//     1 = in use         1 = released and not touched since; never set together with alloc

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

// Node of the radix tree. The summaries of its parts are three columns; in a leaf the parts are chunks.
//
//    0       4       8             12           16        48       80      112
//   ┌───────┬───────┬─────────────┬────────────┬─────────┬────────┬────────┬──────────────────────────────────┐
//   │parent │first  │level, mapped│ candidates │start×8  │ max×8  │ end×8  │ child × 8   or   PallocData × 8  │
//   └───────┴───────┴─────────────┴────────────┴─────────┴────────┴────────┴──────────────────────────────────┘

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
/** Free pages at the start of each part. */
export const NODE_START = 16;
/** Longest run of free pages in each part. */
export const NODE_MAX = NODE_START + FANOUT * 4;
/** Free pages at the end of each part. */
export const NODE_END = NODE_MAX + FANOUT * 4;
/** Refs of the nodes below, in a node of level 1 and up. */
export const NODE_CHILDREN = NODE_END + FANOUT * 4;
/** The bitmaps of the chunks, in a leaf. */
export const LEAF_DATA = NODE_END + FANOUT * 4;
/** Levels of a tree over all the chunks that there can be. */
export const LEVELS = 10;
/** Bytes of a node of level 1 and up. */
export const NODE_BYTES = NODE_CHILDREN + FANOUT * 4;
/** Bytes of a leaf. */
export const LEAF_BYTES = LEAF_DATA + FANOUT * DATA_BYTES;

// Record of pages that the bitmaps show as in use but that nobody got from `alloc`: a page cache, or a hold while a
// hook runs. Live records form a list in both directions; dead ones a list through RECORD_NEXT.
//
//    0      4      8      12     16      20      24      28      32      40      48    112
//   ┌──────┬──────┬──────┬──────┬───────┬───────┬───────┬───────┬───────┬───────┬─────┐
//   │ next │ prev │ kind │ owner│ chunk │ index │npages │ taken │ cache │ scav  │  -  │
//   └──────┴──────┴──────┴──────┴───────┴───────┴───────┴───────┴───────┴───────┴─────┘

/** Ref of the next record in the list; 0 at its end. */
export const RECORD_NEXT = 0;
/** Ref of the record before; 0 in the first. */
export const RECORD_PREV = 4;
/** One of the KIND_ numbers. */
export const RECORD_KIND = 8;
/** Number of the heap object that made the record. */
export const RECORD_OWNER = 12;
/** Chunk of the first page. */
export const RECORD_CHUNK = 16;
/** Index of the first page within its chunk; a multiple of 64 for a cache. */
export const RECORD_INDEX = 20;
/** Length of a hold in pages; 64 for a cache, 0 before it is first filled. */
export const RECORD_NPAGES = 24;
/**
 * What is being taken from a cache: place in bits 0-7, pages from bit 8 on; else 0. For an engine that cannot store 64
 * bits at once.
 */
export const RECORD_TAKEN = 28;
/** u64 of a cache: 1 = free, owned by the cache. */
export const RECORD_CACHE = 32;
/** u64 of a cache: 1 = scavenged. */
export const RECORD_SCAV = 40;
/** Bytes of a record: so many that no two are in one cache line of 64 bytes, as workers fill theirs without the lock. */
export const RECORD_BYTES = 48 + 64;

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

// Header. Counts are of pages; f64 where 32 bits might not do.
//
//    0                8   16       64       112      144     160       224               352   384    448
//   ┌────────────────┬───┬────────┬────────┬────────┬───────┬─────────┬─────────────────┬─────┬──────┐
//   │ magic, version │ - │ fields │ counts │ fields │ draft │ journal │ fields, drafted │  -  │ lock │
//   └────────────────┴───┴────────┴────────┴────────┴───────┴─────────┴─────────────────┴─────┴──────┘
//
// A call that changes the heap first writes down in the journal what it is about to do, then does it. In a shared heap it
// also drafts the header's fields, or only the counts among them if it changes no others, and copies them over at the
// end: so whoever finds a journal that is not empty, because the worker has died, can finish the call, and where it is
// empty nothing has happened.

/** First word of every state. */
export const MAGIC = 0x6c6c6170;
/** Number of this layout; changes with every change to it. */
export const VERSION = 2;

export const HEADER_MAGIC = 0;
export const HEADER_VERSION = 4;
/** 0 when free, else LOCK_HELD or LOCK_WAITED and, above them in a shared heap, the number of the object that holds it. */
export const HEADER_LOCK = 384;
/** How many heap objects have been attached so far: the number of the latest. */
export const HEADER_OWNERS = 388;
/** Bytes of the region in use: where the next piece goes. */
export const HEADER_USED = 16;
/** Ref of the first live record. */
export const HEADER_RECORDS = 20;
/** Ref of the first dead record. */
export const HEADER_DEAD_RECORDS = 24;
/** Live records that are holds. */
export const HEADER_HOLDS = 28;
/** log2 of the page size in bytes. */
export const HEADER_PAGE_SHIFT = 32;
/** Addresses are below 2 to this power. */
export const HEADER_ADDR_BITS = 36;
/** Pages that are released together at the least: physPageSize / pageSize, at least 1. */
export const HEADER_MIN_PAGES = 40;
/** Pages per huge page, or 0 when there are none to keep whole. */
export const HEADER_HUGE_PAGES = 44;
/** Ref of the tree's root; 0 before the first grow. */
export const HEADER_ROOT = 48;
/** First chunk that has been grown over. */
export const HEADER_START = 52;
/** Chunk after the last one that has been grown over. */
export const HEADER_END = 56;
/** Chunks that have been grown over. */
export const HEADER_CHUNKS = 60;
/** Chunk of searchAddr, NO_CHUNK when nothing is free. */
export const HEADER_SEARCH_CHUNK = 64;
/** Page of searchAddr within its chunk. */
export const HEADER_SEARCH_INDEX = 68;
/** Pages of the latest alloc that had been scavenged. */
export const HEADER_LAST_SCAVENGED = 72;
/** 1 after a hook declined: what lies at or above scavAddr is passed over, to the page, until the next reset. */
export const HEADER_SCAV_STRICT = 76;
export const HEADER_IN_USE = 80;
export const HEADER_RELEASED = 84;
export const HEADER_PEAK_IN_USE = 88;
export const HEADER_PEAK_RETAINED = 92;
/** f64 */
export const HEADER_ALLOCS = 96;
/** f64 */
export const HEADER_FREES = 104;
/** f64, page number: the scavenger looks at pages below it, so scavAddr is its address - 1, and -1 at the bottom. */
export const HEADER_SCAV_END = 112;
/** f64 */
export const HEADER_SCAVENGES = 120;
/** f64 */
export const HEADER_SCAVENGED_TOTAL = 128;
/** Goes up with every reset of scavAddr. */
export const HEADER_SCAV_GENERATION = 136;
/** Checksum of a snapshot; 0 in a heap. */
export const HEADER_CHECKSUM = 140;
/** Offset of the drafted fields from their own places; 0 in a heap of one thread, whose calls change them in place. */
export const HEADER_DRAFT = 144;
/** Not 0 when a thread tries to get the lock, since somebody has last given way to one. */
export const HEADER_WANTED = 392;
/** Goes up when the lock becomes free that others wait for: threads that may not block wait for that. */
export const HEADER_FREED = 396;
/** Bytes that are set aside for a shared heap. */
export const HEADER_ROOM = 156;

// The lock's word.
/** Held. */
export const LOCK_HELD = 1;
/** Held, and others may be waiting. */
export const LOCK_WAITED = 2;
/** How far the owner's number is up. */
export const LOCK_OWNER_SHIFT = 2;

// Journal: one entry, which is complete once JOURNAL_OP is not 0.
/** What is done: the sum of some JOURNAL_ bits. */
export const JOURNAL_OP = 160;
/** First page of the range. */
export const JOURNAL_CHUNK = 164;
export const JOURNAL_INDEX = 168;
/** Length of the range; chunks for JOURNAL_MAP. */
export const JOURNAL_NPAGES = 172;
/** Ref of the record that is made, filled or dropped. */
export const JOURNAL_REF = 176;
/** Refs of its neighbours in the list of live records; 0 where it has none. */
export const JOURNAL_NEXT = 180;
export const JOURNAL_PREV = 184;
/** Ref of the first dead record before one is dropped. */
export const JOURNAL_DEAD = 188;
/** Kind and owner of a record that is made. */
export const JOURNAL_KIND = 192;
export const JOURNAL_OWNER = 196;
/** u64, what a cache gets or gives back; 0 between calls. */
export const JOURNAL_CACHE = 200;
/** u64 */
export const JOURNAL_SCAV = 208;

/** Only the fields change; stands for JOURNAL_MAP once that is all that is left to do. */
export const JOURNAL_FIELDS = 1;
/** The range comes into use. */
export const JOURNAL_CLAIM = 2;
/** The range becomes free. */
export const JOURNAL_UNCLAIM = 4;
/** What is free of the range becomes scavenged. */
export const JOURNAL_SCAVENGE = 8;
/** The chunk has no candidate any more. */
export const JOURNAL_CLEAR = 16;
/** A record is made. */
export const JOURNAL_NEW = 32;
/** A record is dropped. */
export const JOURNAL_DROP = 64;
/** A cache gets the block at the start of the range. */
export const JOURNAL_REFILL = 128;
/** A cache gives back what it has of that block. */
export const JOURNAL_FLUSH = 256;
/** Chunks are added. The one entry that is undone, not finished: its nodes are those with refs beyond HEADER_USED. */
export const JOURNAL_MAP = 512;
/** Only the counts change. */
export const JOURNAL_COUNTS = 1024;
/** The entry is carried out again: its range may be marked in part. */
export const JOURNAL_AGAIN = 2048;
/** Entries of these alone draft only the counts. */
export const JOURNAL_BRIEF =
  JOURNAL_CLAIM | JOURNAL_UNCLAIM | JOURNAL_REFILL | JOURNAL_COUNTS | JOURNAL_AGAIN;

/** Where the header's fields begin. */
export const FIELDS = HEADER_USED;
/** Where they end. */
export const FIELDS_END = HEADER_DRAFT;
/** Where the counts among them begin: what alloc and free change. */
export const COUNTS = HEADER_SEARCH_CHUNK;
/** Where those end. */
export const COUNTS_END = HEADER_SCAV_END;
/** HEADER_DRAFT of a shared heap. */
export const DRAFT = 208;
/** Bytes of the header. What threads look at while others work on the heap is in a cache line of its own, the last. */
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
/** They are free: whoever ran the hook has died, or scavAddr has been reset since, or the cache that they are of is gone. */
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
