// The heap in plain C: chunks from address 0 on, five levels of packed summaries, a scavenger that walks chunk by
// chunk, and page caches. All state is in one block, so that one memcpy copies a heap. Addresses are in pages.
#ifndef HEAP_H
#define HEAP_H

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define LEVELS 5
#define FANOUT 8

// The heap has `nchunks` chunks, and space for `room`.
typedef struct {
  uint32_t nchunks, room;
  int64_t search, scav;
  uint32_t entries[LEVELS];
  Chunk *chunks;
  uint64_t *sums[LEVELS];
  size_t nbytes;
  void *block;
} Heap;

static inline uint64_t pack(Sum sum) {
  if (sum.max == SUM_MOST) return SUM_ALL;
  return (uint64_t)sum.start | (uint64_t)sum.max << 21 | (uint64_t)sum.end << 42;
}

static inline Sum unpack(uint64_t sum) {
  if (sum == SUM_ALL) return (Sum){SUM_MOST, SUM_MOST, SUM_MOST};
  uint32_t mask = SUM_MOST - 1;
  return (Sum){(uint32_t)sum & mask, (uint32_t)(sum >> 21) & mask, (uint32_t)(sum >> 42) & mask};
}

// Returns how many pages an entry of a level covers. Level 0 is the top.
static inline uint32_t pages_at(uint32_t level) { return CHUNK_PAGES << 3 * (LEVELS - 1 - level); }

// Returns the summary of eight neighbours that cover `pages` pages each.
static inline uint64_t merge(const uint64_t *sums, uint32_t pages) {
  Sum all = unpack(sums[0]);
  for (uint32_t i = 1; i < FANOUT; i++) {
    Sum next = unpack(sums[i]);
    if (all.start == i * pages) all.start += next.start;
    if (all.end + next.start > all.max) all.max = all.end + next.start;
    if (next.max > all.max) all.max = next.max;
    all.end = next.start == pages ? all.end + pages : next.end;
  }
  return pack(all);
}

// Recomputes the summaries of chunks [from, to), and those above until nothing changes.
static void update(Heap *heap, uint32_t from, uint32_t to) {
  for (uint32_t chunk = from; chunk < to; chunk++) {
    heap->sums[LEVELS - 1][chunk] = pack(summarize(heap->chunks[chunk].alloc));
  }
  bool changed = true;
  for (int level = LEVELS - 2; level >= 0 && changed; level--) {
    uint32_t shift = 3 * (uint32_t)(LEVELS - 1 - level);
    changed = false;
    for (uint32_t entry = from >> shift; entry <= (to - 1) >> shift; entry++) {
      uint64_t sum = merge(heap->sums[level + 1] + entry * FANOUT, pages_at((uint32_t)level + 1));
      if (heap->sums[level][entry] == sum) continue;
      heap->sums[level][entry] = sum;
      changed = true;
    }
  }
}

// Returns a heap without chunks, which can grow to `room` chunks.
static inline Heap heap_reserve(uint32_t room) {
  Heap heap = {.room = room, .search = 0, .scav = -1};
  heap.nbytes = room * sizeof(Chunk);
  for (int level = LEVELS - 1; level >= 0; level--) {
    uint32_t below = level == LEVELS - 1 ? room : (heap.entries[level + 1] + FANOUT - 1) / FANOUT;
    heap.entries[level] = (below + FANOUT - 1) / FANOUT * FANOUT;
    heap.nbytes += heap.entries[level] * sizeof(uint64_t);
  }
  heap.block = calloc(1, heap.nbytes);
  heap.chunks = heap.block;
  uint64_t *at = (uint64_t *)(heap.chunks + room);
  for (int level = 0; level < LEVELS; level++) {
    heap.sums[level] = at;
    at += heap.entries[level];
  }
  return heap;
}

// Adds `count` chunks at the end, all free and scavenged. Returns false if there is no room.
static inline bool heap_grow(Heap *heap, uint32_t count) {
  uint32_t from = heap->nchunks, to = from + count;
  if (count > heap->room - from) return false;
  for (uint32_t chunk = from; chunk < to; chunk++) memset(heap->chunks[chunk].scavenged, 0xff, WORDS * 8);
  heap->nchunks = to;
  if ((int64_t)from * CHUNK_PAGES < heap->search) heap->search = (int64_t)from * CHUNK_PAGES;
  update(heap, from, to);
  return true;
}

// Returns a heap of nchunks chunks, all free and scavenged.
static Heap heap_new(uint32_t nchunks) {
  Heap heap = heap_reserve(nchunks);
  heap_grow(&heap, nchunks);
  return heap;
}

static void heap_copy(Heap *to, const Heap *from) {
  memcpy(to->block, from->block, from->nbytes);
  to->search = from->search;
  to->scav = from->scav;
}

static void heap_alloc_range(Heap *heap, int64_t page, uint32_t npages) {
  for (int64_t at = page, end = page + npages; at < end;) {
    uint32_t i = (uint32_t)(at % CHUNK_PAGES);
    uint32_t n = CHUNK_PAGES - i < end - at ? CHUNK_PAGES - i : (uint32_t)(end - at);
    chunk_alloc(&heap->chunks[at / CHUNK_PAGES], i, n);
    at += n;
  }
  update(heap, (uint32_t)(page / CHUNK_PAGES), (uint32_t)((page + npages - 1) / CHUNK_PAGES) + 1);
}

static void heap_free(Heap *heap, int64_t page, uint32_t npages) {
  if (page < heap->search) heap->search = page;
  for (int64_t at = page, end = page + npages; at < end;) {
    uint32_t i = (uint32_t)(at % CHUNK_PAGES);
    uint32_t n = CHUNK_PAGES - i < end - at ? CHUNK_PAGES - i : (uint32_t)(end - at);
    clear_range(heap->chunks[at / CHUNK_PAGES].alloc, i, n);
    at += n;
  }
  update(heap, (uint32_t)(page / CHUNK_PAGES), (uint32_t)((page + npages - 1) / CHUNK_PAGES) + 1);
}

// Looks for room in the summaries, from the top level down. Narrows *first down towards the first free page.
static int64_t heap_find(const Heap *heap, uint32_t npages, int64_t *first) {
  int64_t free_from = 0, free_to = INT64_MAX;
  uint32_t from = 0, to = heap->entries[0];
  for (uint32_t level = 0; level < LEVELS; level++) {
    int64_t pages = pages_at(level);
    uint32_t run = 0, entry = from;
    for (; entry < to; entry++) {
      Sum sum = unpack(heap->sums[level][entry]);
      int64_t base = entry * pages;
      if (sum.max && base >= free_from && base + pages <= free_to) {
        free_from = base;
        free_to = base + pages;
      }
      if (run + sum.start >= npages) {
        *first = free_from;
        return base - run;
      }
      if (sum.max >= npages) break;
      run = sum.start == pages ? run + (uint32_t)pages : sum.end;
    }
    if (entry == to) return -1;
    from = entry * FANOUT;
    to = from + FANOUT;
  }
  int64_t base = (int64_t)(from / FANOUT) * CHUNK_PAGES;
  int32_t seen, index = find(heap->chunks[base / CHUNK_PAGES].alloc, npages, 0, &seen);
  *first = free_from == base ? base + seen : free_from;
  return base + index;
}

// Returns where the first npages free pages in a row are; -1 if there are none. *first is the first free page, or a
// page below it.
static int64_t heap_first_fit(const Heap *heap, uint32_t npages, int64_t *first) {
  uint32_t chunk = (uint32_t)(heap->search / CHUNK_PAGES), index = (uint32_t)(heap->search % CHUNK_PAGES);
  *first = heap->search;
  if (chunk < heap->nchunks && index + npages <= CHUNK_PAGES &&
      unpack(heap->sums[LEVELS - 1][chunk]).max >= npages) {
    int32_t seen, at = find(heap->chunks[chunk].alloc, npages, index, &seen);
    if (at >= 0) {
      *first = (int64_t)chunk * CHUNK_PAGES + seen;
      return (int64_t)chunk * CHUNK_PAGES + at;
    }
  }
  return heap_find(heap, npages, first);
}

static int64_t heap_alloc(Heap *heap, uint32_t npages) {
  int64_t first, page = heap_first_fit(heap, npages, &first);
  if (page < 0) return -1;
  heap_alloc_range(heap, page, npages);
  if (first > heap->search) heap->search = first;
  return page;
}

static void heap_reset_scavenge(Heap *heap) { heap->scav = (int64_t)heap->nchunks * CHUNK_PAGES - 1; }

// Scavenges the highest candidate of a chunk, from page `index` down. Returns its pages.
static uint32_t scavenge_chunk(Heap *heap, int64_t chunk, uint32_t index, uint32_t max) {
  Run run = find_scavenge_candidate(&heap->chunks[chunk], index, 1, max, 0);
  if (!run.npages) return 0;
  set_range(heap->chunks[chunk].scavenged, run.start, run.npages);
  heap->scav = chunk * CHUNK_PAGES + run.start - 1;
  return run.npages;
}

// Scavenges one run of at most max pages, from heap->scav down. Returns its pages; 0 when nothing is left.
static uint32_t heap_scavenge_one(Heap *heap, uint32_t max) {
  if (heap->scav < 0) return 0;
  int64_t top = heap->scav / CHUNK_PAGES;
  if (unpack(heap->sums[LEVELS - 1][top]).max >= 1) {
    uint32_t npages = scavenge_chunk(heap, top, (uint32_t)(heap->scav % CHUNK_PAGES), max);
    if (npages) return npages;
  }
  for (int64_t chunk = top - 1; chunk >= 0; chunk--) {
    if (unpack(heap->sums[LEVELS - 1][chunk]).max < 1) continue;
    if (!has_scavenge_candidate(&heap->chunks[chunk], 1)) continue;
    return scavenge_chunk(heap, chunk, CHUNK_PAGES - 1, max);
  }
  heap->scav = -1;
  return 0;
}

// Free pages of one aligned block of 64, from page `base` on. In `cache`, a 1 is a page that the cache has; in `scav`,
// one of these that is scavenged.
typedef struct {
  int64_t base;
  uint64_t cache, scav;
} PageCache;

// Takes all free pages of the block that has the first free page. Returns an empty cache if no page is free.
static PageCache heap_alloc_to_cache(Heap *heap) {
  int64_t first, page = heap_first_fit(heap, 1, &first);
  if (page < 0) return (PageCache){0, 0, 0};
  Chunk *chunk = &heap->chunks[page / CHUNK_PAGES];
  uint32_t word = (uint32_t)(page % CHUNK_PAGES) / 64;
  PageCache taken = {page & -64, ~chunk->alloc[word], chunk->scavenged[word]};
  taken.scav &= taken.cache;
  chunk->alloc[word] |= taken.cache;
  chunk->scavenged[word] &= ~taken.cache;
  update(heap, (uint32_t)(page / CHUNK_PAGES), (uint32_t)(page / CHUNK_PAGES) + 1);
  heap->search = taken.base + 63;
  return taken;
}

// Takes the first npages pages in a row that the cache has. Returns -1 if it has no such run.
static int64_t cache_alloc(PageCache *from, uint32_t npages) {
  if (!from->cache || npages > 64) return -1;
  uint32_t at = npages == 1 ? trailing_zeros(from->cache) : find_bit_range(from->cache, npages);
  if (at == 64) return -1;
  from->cache &= ~ones(at, npages);
  from->scav &= ~ones(at, npages);
  return from->base + at;
}

// Frees the pages that are left in a cache. Scavenged ones stay scavenged.
static void cache_flush(PageCache *from, Heap *heap) {
  if (!from->cache) return;
  uint32_t at = (uint32_t)(from->base / CHUNK_PAGES), word = (uint32_t)(from->base % CHUNK_PAGES) / 64;
  heap->chunks[at].alloc[word] &= ~from->cache;
  heap->chunks[at].scavenged[word] |= from->scav;
  if (from->base < heap->search) heap->search = from->base;
  update(heap, at, at + 1);
  *from = (PageCache){0, 0, 0};
}

#endif
