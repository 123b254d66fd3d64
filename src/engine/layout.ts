// The state of a heap, as bytes. Both engines compile this file, and no other file knows an offset.
//
// A heap is one region of linear memory. It starts with a header. The *pieces* follow, in the order in which they were
// made: nodes of the radix tree, records of pages that page caches or hooks have, and indexes of page caches. A piece
// never moves within the region. Its *ref* is its byte offset from the start of the region. Ref 0 would be the header,
// so it means none. As refs are relative, a region can be moved, saved and restored as it is. All numbers are
// little-endian, and u32 unless noted.
//
//   region  ┌────────┬───────────┬────────┬───────────┬───────────┬──────────┬─────┐
//           │ header │ node (0)  │ record │ node (0)  │ node (1)  │ node (0) │ ... │
//           └────────┴───────────┴────────┴───────────┴───────────┴──────────┴─────┘
//           0        448                                                          USED
//
//   tree          ┌───────────────┐      A node of level L covers 8^(L+1) chunks, in 8 parts.
//     level 1     │0 1 2 3 4 5 6 7│      The tree is as high as it must be to cover all mapped chunks.
//                 └──┬─────────┬──┘      A part without a mapped chunk has no node.
//               ┌────┘         └────┐
//     level 0   ┌───────────────┐   ┌───────────────┐
//     (leaf)    │0 1 2 3 4 5 6 7│   │8 9 . . . . . .│   Each part is a chunk. The leaf holds its bitmaps.
//               └───────────────┘   └───────────────┘

/** Bytes of a cache line. Each piece is a whole number of lines. */
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
// Both bits set: the page is a hole, in a chunk that also has mapped pages. A chunk without mapped pages has no bit
// set.

/** Bytes of one bitmap. */
export const BITMAP_BYTES = CHUNK_PAGES / 8;
/** Where the scavenged bitmap starts within PallocData. */
export const DATA_SCAVENGED = BITMAP_BYTES;
/** Bytes of PallocData. */
export const DATA_BYTES = DATA_SCAVENGED + BITMAP_BYTES;

// A chunk's packed summary. Bits 0-9 count the free pages at its start, bits 10-19 those of its longest free run (max),
// bits 20-29 those at its end. Each count is 0 to 512.

/** Width of one count in a packed summary. */
export const SUM_BITS = 10;
/** Mask of one count in a packed summary. */
export const SUM_MASK = (1 << SUM_BITS) - 1;
/** Packed summary of a chunk that is all free. If it is all in use or a hole, the summary is 0. */
export const SUM_FREE = CHUNK_PAGES | (CHUNK_PAGES << SUM_BITS) | (CHUNK_PAGES << (2 * SUM_BITS));

// Nodes of the radix tree. The parts of a leaf are chunks, and their summaries are packed. In a higher node the counts
// do not fit in 10 bits, so the summaries of its parts are three columns.
//
//            0        4       8        12           16        48       52        56     60  64               1088
//            ┌────────┬───────┬────────┬────────────┬─────────┬────────┬─────────┬──────┬───┬────────────────┐
//   leaf     │ parent │ first │ mapped │ candidates │ sum × 8 │ blocks │ partial │ next │ - │ PallocData × 8 │
//            └────────┴───────┴────────┴────────────┴─────────┴────────┴─────────┴──────┴───┴────────────────┘
//            0        4       8        12           16          48        80        112         144    148  192
//            ┌────────┬───────┬────────┬────────────┬───────────┬─────────┬─────────┬───────────┬──────┬────┐
//   level 1+ │ parent │ first │ level  │ candidates │ start × 8 │ max × 8 │ end × 8 │ child × 8 │ next │ -  │
//            └────────┴───────┴────────┴────────────┴───────────┴─────────┴─────────┴───────────┴──────┴────┘
//
// Pieces are whole cache lines, so each starts at the start of a line. The fields of a leaf fill one line: a call
// touches that line and the lines of the bitmaps that it works on.
//
// A node that loses its last mapped page is taken out of the tree. It is then *free*, and waits in a list until the
// tree grows. In a free node all fields are 0 but `next` and, in a leaf, `blocks`: the leaf keeps its index of page
// caches.

/** Ref of the node above; 0 in the root. */
export const NODE_PARENT = 0;
/** Index of the first chunk that the node covers. */
export const NODE_FIRST = 4;
/** Level in bits 8-15. In a leaf, bits 0-7 have a 1 for each chunk with mapped pages. */
export const NODE_SHAPE = 8;
/** Lowest bit of the level in NODE_SHAPE. */
export const LEVEL_SHIFT = 8;
/** A bit for each part that may hold a scavenge candidate. Set when pages are freed, cleared when a look finds none. */
export const NODE_CANDIDATES = 12;
/** Packed summaries of the chunks, in a leaf. */
export const LEAF_SUMS = 16;
/** Ref of the index of the page caches that have blocks in a leaf; 0 until a cache has had one. */
export const LEAF_BLOCKS = 48;
/** A bit for each chunk of a leaf that has both holes and mapped pages. */
export const LEAF_PARTIAL = 52;
/** Ref of the next free leaf, in a free one. */
export const LEAF_NEXT = 56;
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
/** Ref of the next free node, in a free one. */
export const NODE_NEXT = NODE_CHILDREN + FANOUT * 4;
/** Levels of a tree that covers every chunk index. */
export const LEVELS = 10;
/** Bytes of a node of level 1 and up: 148, in whole cache lines. */
export const NODE_BYTES = 3 * LINE_BYTES;
/** Bytes of a leaf. */
export const LEAF_BYTES = LEAF_DATA + FANOUT * DATA_BYTES;

/**
 * Bytes of an index of page caches: a word for each 64-page block of a leaf, the ref of the first cache of that block.
 */
export const BLOCKS_BYTES = FANOUT * (CHUNK_PAGES / 64) * 4;

// A record describes pages that the bitmaps show as in use although no caller has them from `alloc`: those of a page
// cache, or those of a *hold* while a hook runs. Live caches form a doubly linked list, and so do holds. Dead records
// form a singly linked list through RECORD_NEXT. The caches of one block also form a list, through RECORD_BESIDE. A
// free has to look only at that list to tell whether a cache owns its pages.
//
//   0    64     68     72     76      80      84      88      92      96      104     112    116     120  192
//   ┌────┬──────┬──────┬──────┬───────┬───────┬───────┬───────┬───────┬───────┬───────┬──────┬───────┬────┐
//   │ -  │ next │ prev │ kind │ owner │ chunk │ index │npages │ taken │ cache │ scav  │ slot │beside │ -  │
//   └────┴──────┴──────┴──────┴───────┴───────┴───────┴───────┴───────┴───────┴───────┴──────┴───────┴────┘
//
// Workers take pages from their caches without the lock, so each record has a cache line to itself. The lines before
// and after it are empty, because processors fetch lines in pairs: two workers with neighbouring records would run at
// half the rate.

/** Ref of the next record in the list; 0 at its end. */
export const RECORD_NEXT = LINE_BYTES;
/** Ref of the previous record in the list; 0 in the first. */
export const RECORD_PREV = 68;
/** One of the KIND_ numbers. */
export const RECORD_KIND = 72;
/** Number of the heap object that made the record. */
export const RECORD_OWNER = 76;
/** Chunk of the first page. */
export const RECORD_CHUNK = 80;
/** Index of the first page within its chunk; a multiple of 64 for a cache. */
export const RECORD_INDEX = 84;
/** Pages of a hold; 64 for a cache. 0 until the record gets pages, and again when a hold has ended. */
export const RECORD_NPAGES = 88;
/**
 * The run that is being taken from a cache: its index in bits 0-7, its pages in bits 8 and up; else 0. Only the twin
 * writes it, as it cannot store 64 bits at once. If the worker dies between the two stores, `recover` completes them.
 */
export const RECORD_TAKEN = 92;
/** u64, a bit for each page of the block: 1 = owned by the cache. */
export const RECORD_CACHE = 96;
/** u64, a bit for each page of the block: 1 = scavenged. Counts only for pages that the cache owns. */
export const RECORD_SCAV = 104;
/** Ref of the index word that starts the list that this cache is in; 0 while it is in none. */
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

// Table of sizes: the blocks of an arena, on a heap whose pages are the arena's units. The engines do not read it.
//
//   0      4        8           16      20     24   28      32       36      40    44    48     52   56   64
//   ┌──────┬────────┬───────────┬───────┬──────┬────┬───────┬────────┬───────┬─────┬─────┬──────┬─────┬───┬────────┬
//   │blocks│capacity│ requested │ units │ next │ op │ first │ npages │ block │ was │slack│ now  │slack│ - │starts …│
//   └──────┴────────┴───────────┴───────┴──────┴────┴───────┴────────┴───────┴─────┴─────┴──────┴─────┴───┴────────┴
//                                              └───────────── the change under way ───────────────────┘
//
// Three columns follow, with an entry for each unit: two bitmaps, in which 1 means that a block starts or ends there,
// and the *slack*: how many bytes of the block that starts there were not asked for. Slack is less than a unit, so it
// has 1, 2 or 4 bytes. Pages that are in use without a block are none of the arena's.
//
// A change of a block changes pages too, so it is written down first. If it is interrupted, `settle` in store/sizes.ts
// looks whether the pages have changed, and undoes or completes it.

/** How many blocks are live. */
export const SIZES_BLOCKS = 0;
/** How many units the table has entries for; a multiple of CHUNK_PAGES. */
export const SIZES_CAPACITY = 4;
/** f64, the bytes that were asked for, of all blocks. */
export const SIZES_REQUESTED = 8;
/** How many units the arena hands out, from page 0 on. */
export const SIZES_UNITS = 16;
/** Ref of the table that this one has replaced; 0 if there is none. */
export const SIZES_NEXT = 20;
/** The change under way: one of the SIZES_ ops below, or 0. */
export const SIZES_OP = 24;
/** The pages that change. */
export const SIZES_FIRST = 28;
export const SIZES_NPAGES = 32;
/** First page of the block. */
export const SIZES_BLOCK = 36;
/** Units of the block and its slack, as they were. No units: it did not exist. */
export const SIZES_WAS = 40;
export const SIZES_WAS_SLACK = 44;
/** The same, as they will be. */
export const SIZES_NOW = 48;
export const SIZES_SLACK = 52;
/** Where the columns begin. */
export const SIZES_STARTS = LINE_BYTES;

/** The pages come into use. */
export const SIZES_TAKE = 1;
/** The pages become free. */
export const SIZES_FREE = 2;

// Header. The *counts* are the fields that alloc and free change; searchAddr is one of them. Numbers of pages are u32.
// Running totals are f64.
//
//   0                8      16       64       116           128      176         192       256          416       448
//   ┌────────────────┬──────┬────────┬────────┬─────────────┬────────┬───────────┬─────────┬────────────┬─────────┐
//   │ magic, version │ lock │ counts │ fields │ shared …    │ fields │ owners …  │ journal │saved fields│ journal │
//   └────────────────┴──────┴────────┴────────┴─────────────┴────────┴───────────┴─────────┴────────────┴─────────┘
//
// A call changes the heap in two steps, and the journal says which step it is in. First the call *marks*: it sets or
// clears alloc bits and updates the summaries. The journal is enough to undo that. Then the call *commits*: it changes
// the header's fields, the scavenged bits and the records. A commit calls no function while it does so, so no stack
// overflow can interrupt it. But in a shared heap a worker may die anywhere. There a commit first saves the fields, so
// that it can be redone from the start. Either way, an interrupted call has happened completely or not at all.
//
// When the lock moves to another core, so do the cache lines that a call writes, one after the other, at about 200 ns
// each. So the lock and the counts share one line, the journal and the saved counts have one each, and fields that
// alloc and free only read are on other lines.

/** First word of every state. */
export const MAGIC = 0x6c6c6170;
/** Number of this layout; changes with every change to it. Never a multiple of FANOUT: see HINT_LEAF. */
export const VERSION = 7;

export const HEADER_MAGIC = 0;
export const HEADER_VERSION = 4;
/**
 * 0 when free. Else LOCK_HELD or LOCK_WAITED, and in a shared heap the owner number of the holder in the bits above.
 */
export const HEADER_LOCK = 8;
/**
 * Not 0 once a thread has had to wait for the lock. A thread in no hurry sees that, zeroes it, and leaves the lock to
 * others for a while.
 */
export const HEADER_WANTED = 12;
/** f64 */
export const HEADER_FREES = 16;
/** Chunk of searchAddr; NO_CHUNK when nothing is free. */
export const HEADER_SEARCH_CHUNK = 24;
/** Page of searchAddr within its chunk. */
export const HEADER_SEARCH_INDEX = 28;
export const HEADER_IN_USE = 32;
export const HEADER_RELEASED = 36;
export const HEADER_PEAK_IN_USE = 40;
export const HEADER_PEAK_RETAINED = 44;
/** How many pages of the latest alloc had been scavenged. */
export const HEADER_LAST_SCAVENGED = 48;
/**
 * 1 after a hook declined pages, until the next reset. A first look then starts exactly at scavAddr and not at the end
 * of its 64-page word, so that it does not find the declined pages again.
 */
export const HEADER_SCAV_STRICT = 52;
/** f64 */
export const HEADER_ALLOCS = 56;
/** Bytes of the region in use. The next piece goes there. */
export const HEADER_USED = 64;
/** Ref of the first live page cache. */
export const HEADER_RECORDS = 68;
/** Ref of the first dead record. */
export const HEADER_DEAD_RECORDS = 72;
/** Ref of the first hold. */
export const HEADER_HOLDS = 76;
/** Ref of the tree's root; 0 before the first grow. */
export const HEADER_ROOT = 80;
/** The first mapped chunk. */
export const HEADER_START = 84;
/** The chunk after the last mapped one. */
export const HEADER_END = 88;
/** Number of chunks that are mapped, wholly or in part. */
export const HEADER_CHUNKS = 92;
/** Number of mapped pages. */
export const HEADER_PAGES = 96;
/** log2 of the page size in bytes. */
export const HEADER_PAGE_SHIFT = 100;
/** Addresses are below 2 to this power. */
export const HEADER_ADDR_BITS = 104;
/** Fewest pages that can be released together: physPageSize / pageSize, at least 1. */
export const HEADER_MIN_PAGES = 108;
/** Pages per huge page; 0 if there are no huge pages to keep whole. */
export const HEADER_HUGE_PAGES = 112;
/** 1 in a shared heap, where commits save the fields; 0 in a heap of one thread, where they do not. */
export const HEADER_SHARED = 116;
/** Bytes reserved for the region. */
export const HEADER_ROOM = 120;
/** Ref of the table of sizes; 0 in a heap without an arena. */
export const HEADER_SIZES = 124;
/** f64, page number: the scavenger looks at pages below it. scavAddr is its address minus 1, so -1 at the bottom. */
export const HEADER_SCAV_END = 128;
/** f64 */
export const HEADER_SCAVENGES = 136;
/** f64 */
export const HEADER_SCAVENGED_TOTAL = 144;
/** f64, page number: the page after the last mapped one. */
export const HEADER_TOP = 152;
/** Goes up whenever scavAddr is moved to the top. */
export const HEADER_SCAV_GENERATION = 160;
/** 1 after the first reset. Until then, each grow moves scavAddr to the top. */
export const HEADER_SCAV_RESET = 164;
/** Ref of the first free leaf; 0 if there is none. */
export const HEADER_FREE_LEAVES = 168;
/** Ref of the first free node of level 1 and up; 0 if there is none. */
export const HEADER_FREE_NODES = 172;
/** Number of heap objects attached so far, which is also the owner number of the latest. */
export const HEADER_OWNERS = 176;
/** Goes up when the lock is released while others wait. Threads that may not block wait for this word to change. */
export const HEADER_FREED = 180;
/**
 * Goes up with each change of pages that no total counts: pages are mapped or unmapped, a hook's hold begins or ends.
 */
export const HEADER_CHANGES = 184;
/** Checksum of a snapshot; 0 in a heap. */
export const HEADER_CHECKSUM = 188;

// Values of the lock's word.
/** Held. */
export const LOCK_HELD = 1;
/** Held, and others may be waiting. */
export const LOCK_WAITED = 2;
/** Lowest bit of the owner number. */
export const LOCK_OWNER_SHIFT = 2;
/** The highest owner number that fits in the word. */
export const MAX_OWNERS = -1 >>> LOCK_OWNER_SHIFT;

// The journal. It has one entry, for the call that has the lock.
/** What the call is doing, as a set of JOURNAL_ bits; 0 between calls. */
export const JOURNAL_OP = 192;
/** First page of the range. */
export const JOURNAL_CHUNK = 196;
export const JOURNAL_INDEX = 200;
/** Length of the range. */
export const JOURNAL_NPAGES = 204;
/** u64, the pages that a cache gets or gives back: a bit for each page of its block. */
export const JOURNAL_CACHE = 208;
/** u64, which of those pages are scavenged. */
export const JOURNAL_SCAV = 216;
/** Ref of the record that is being made, filled or dropped, or of the node that is being taken out of the tree. */
export const JOURNAL_REF = 224;
/** Refs of the neighbours of a record that is being dropped; 0 for none. */
export const JOURNAL_NEXT = 228;
/** Also the ref of the word that leads to the node that is being taken out of the tree. */
export const JOURNAL_PREV = 232;
/**
 * When a record is made: the dead record that will be the first, or UNMADE if the new record reuses none. When a record
 * is dropped: UNMADE if its room is given back, else 0.
 */
export const JOURNAL_DEAD = 236;
/** Not a ref. Signed, because the twin reads i32. */
export const UNMADE = -1;
/** Kind and owner of a record that is being made. The kind is also the level of a node that is being taken out. */
export const JOURNAL_KIND = 240;
export const JOURNAL_OWNER = 244;
/** Ref of the cache that gets back the pages of a hold. */
export const JOURNAL_TO = 248;
/** How many pages of the range were scavenged before, or become scavenged. */
export const JOURNAL_SCAVENGED = 252;
/** f64, the new HEADER_SCAV_END. */
export const JOURNAL_SCAV_END = 416;
/** Number of runs that are released. */
export const JOURNAL_RUNS = 424;
/** What HEADER_START becomes when pages are unmapped. */
export const JOURNAL_START = 428;
/** f64, what HEADER_TOP becomes. */
export const JOURNAL_TOP = 432;
/**
 * Ref of the leaf in which the last alloc or first look of a plain heap began, or 0. Only a hint: the leaf may be free
 * by now, or cover other chunks. At 0 is the header, with VERSION in the place of NODE_FIRST. It is not taken for a
 * leaf, as long as VERSION is no multiple of FANOUT.
 */
export const HINT_LEAF = 440;

// Bits that say that a commit has begun in a shared heap, and which fields it has saved.
/** The counts that a free changes. */
export const JOURNAL_FREE = 1;
/** All counts. */
export const JOURNAL_COUNTS = 2;
/** All fields. */
export const JOURNAL_FIELDS = 4;

/**
 * Pages are being mapped. An interrupted map is always undone, however far it got, so it saves the fields in any heap.
 * Its new nodes lie above the saved HEADER_USED, or are in the saved lists of free nodes.
 */
export const JOURNAL_MAP = 8;
/** The range comes into use. */
export const JOURNAL_CLAIM = 16;
/** The range becomes free. */
export const JOURNAL_UNCLAIM = 32;
/** The free pages of the range become scavenged. */
export const JOURNAL_SCAVENGE = 64;
/** The chunk has no scavenge candidate left. */
export const JOURNAL_CLEAR = 128;
/** A record has been made for the change that the other bits name. Without such bits, that change has not begun. */
export const JOURNAL_NEW = 256;
/** A record is dropped once everything else is done. */
export const JOURNAL_DROP = 512;
/** A cache gets the block at the start of the range. */
export const JOURNAL_REFILL = 1024;
/** A cache gives back the pages that it has of that block. */
export const JOURNAL_FLUSH = 2048;
/** A cache gets back pages that a hook ran on. */
export const JOURNAL_RETURN = 4096;
/** The totals count the change, as an alloc or a free. */
export const JOURNAL_COUNTED = 8192;
/** The total of allocs goes down again, because the allocation is undone. */
export const JOURNAL_UNCOUNT = 16384;
/** A hook has declined the pages. */
export const JOURNAL_DECLINED = 32768;
/** scavAddr moves. */
export const JOURNAL_MOVE = 65536;
/** The heap could not be mended. Every later call throws. */
export const JOURNAL_BROKEN = 131072;
/** The range, which has come into use, is unmapped. */
export const JOURNAL_UNMAP = 262144;
/** The pages of an arena's block have changed, and the table of sizes is to follow. */
export const JOURNAL_SIZES = 1048576;
/** The range is unmapped. The nodes that no longer have a mapped page below them are taken out of the tree. */
export const JOURNAL_PRUNE = 524288;

/** Where the header's fields begin. The counts come first. */
export const FIELDS = HEADER_FREES;
/** Where the counts that a free changes end. */
export const FREE_END = HEADER_RELEASED;
/** Where the counts end. `saveFree` and `saveCounts` copy the counts without a loop, so they depend on their order. */
export const COUNTS_END = HEADER_USED;
/** Where the fields end. */
export const FIELDS_END = HEADER_OWNERS;
/** Distance from each field to its saved copy. It puts the saved counts at the start of a cache line. */
export const UNDO = 240;
/** Bytes of the header. */
export const HEADER_BYTES = 448;
/** Chunk of searchAddr when nothing is free: above every chunk. */
export const NO_CHUNK = 0x7fffffff;
/** Chunk indices are below 2 to this power. */
export const CHUNK_INDEX_BITS = 30;
/** Most chunks of one heap, so that 31 bits can count its pages. */
export const MAX_CHUNKS = (1 << 22) - 1;

/** The largest alignment of an alloc, in pages. */
export const MAX_ALIGN = 1 << 20;

// Answers of the engine calls that take a range of pages.

/** The call was carried out. */
export const RANGE_DONE = 0;
/** A page of the range lies in a hole; nothing was changed. */
export const RANGE_NOT_MAPPED = 1;
/** A page of the range is free but must be in use, or is in use but must be free; nothing was changed. */
export const RANGE_MISMATCH = 2;
/** A page of the range is in a page cache, or held while a hook runs on it; nothing was changed. */
export const RANGE_OWNED = 3;

/** Answer of a call whose name ends in `Now`: nothing was changed, and the caller must take the lock first. */
export const BUSY = -2;
/** Answer of `release` and `releaseNow`: nothing is left below scavAddr. */
export const NOTHING_LEFT = -1;
/** What `allocNow` adds to a page number for each page that had been scavenged is 1 divided by this. */
export const LAST_SCALE = 1024;

// How a hold ends.
/** The pages stay in use: `sys.used` has returned. */
export const HOLD_USED = 0;
/** The pages become free and scavenged: `sys.unused` has returned. */
export const HOLD_RELEASED = 1;
/**
 * The pages become free: `sys.unused` declined. The scavenger skips them until the next reset (see HEADER_SCAV_STRICT).
 */
export const HOLD_DECLINED = 2;
/**
 * The pages become free: the worker that ran the hook has died, or scavAddr has been reset since, or their cache has
 * left their block.
 */
export const HOLD_PASSED = 3;
/** The pages become free, as if `alloc` had not been called: `sys.used` threw. */
export const HOLD_UNDONE = 4;

// A scan: one kernel on many chunks that lie one after the other. The results are i16, so many for each chunk:

/** hasScavengeCandidate: 0 or 1. */
export const SCAN_HAS_CANDIDATE = 0;
/** findScavengeCandidate: start and length in pages. */
export const SCAN_FIND_CANDIDATE = 1;
/** find: index of the run and first free page seen, -1 for none. */
export const SCAN_FIND = 2;
/** summarize: start, max and end. */
export const SCAN_SUMMARIZE = 3;

// A batch: operations and results are rows of f64, so that JavaScript can write and read them as a Float64Array.
//
//   operation  ┌──────┬────────┬───────┬────────┐     result  ┌───────┬───────────┐
//              │ code │ npages │ where │ offset │             │ value │ scavenged │
//              └──────┴────────┴───────┴────────┘             └───────┴───────────┘

/** Numbers of an operation. */
export const OP_NUMBERS = 4;
/** Numbers of a result. */
export const RESULT_NUMBERS = 2;
/**
 * Allocates; `where` is the number of the page cache to ask first, or -1. `offset` is the alignment in pages, or 0. If
 * it is above 1, `where` is -1. The value is the base address.
 */
export const OP_ALLOC = 0;
/** Takes exactly the pages from address `where` on. The value is that address. */
export const OP_ALLOC_RANGE = 1;
/** Frees the pages from address `where` on. The value is that address. */
export const OP_FREE = 2;
/**
 * Frees pages from `offset` bytes after the value of operation number `where`, an earlier one of the batch. The value
 * is the address of the first page.
 */
export const OP_FREE_RESULT = 3;
/** Releases the free pages of the range from address `where` on. The value is the number of bytes released. */
export const OP_SCAVENGE_RANGE = 4;
