// The heap in plain C: chunks from address 0 on, five levels of packed summaries, and a scavenger that walks chunk by
// chunk. All state is in one block, so that one memcpy copies a heap. Addresses are in pages.
#ifndef HEAP_H
#define HEAP_H

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define LEVELS 5
#define FANOUT 8

typedef struct {
  uint32_t nchunks;
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

// Returns a heap of nchunks chunks, all free and scavenged.
static Heap heap_new(uint32_t nchunks) {
  Heap heap = {.nchunks = nchunks, .search = 0, .scav = -1};
  heap.nbytes = nchunks * sizeof(Chunk);
  for (int level = LEVELS - 1; level >= 0; level--) {
    uint32_t below = level == LEVELS - 1 ? nchunks : (heap.entries[level + 1] + FANOUT - 1) / FANOUT;
    heap.entries[level] = (below + FANOUT - 1) / FANOUT * FANOUT;
    heap.nbytes += heap.entries[level] * sizeof(uint64_t);
  }
  heap.block = calloc(1, heap.nbytes);
  heap.chunks = heap.block;
  uint64_t *at = (uint64_t *)(heap.chunks + nchunks);
  for (int level = 0; level < LEVELS; level++) {
    heap.sums[level] = at;
    at += heap.entries[level];
  }
  for (uint32_t chunk = 0; chunk < nchunks; chunk++) memset(heap.chunks[chunk].scavenged, 0xff, WORDS * 8);
  update(&heap, 0, nchunks);
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

static int64_t heap_alloc(Heap *heap, uint32_t npages) {
  int64_t page = -1, first = heap->search;
  uint32_t chunk = (uint32_t)(heap->search / CHUNK_PAGES), index = (uint32_t)(heap->search % CHUNK_PAGES);
  if (chunk < heap->nchunks && index + npages <= CHUNK_PAGES &&
      unpack(heap->sums[LEVELS - 1][chunk]).max >= npages) {
    int32_t seen, at = find(heap->chunks[chunk].alloc, npages, index, &seen);
    if (at >= 0) {
      page = (int64_t)chunk * CHUNK_PAGES + at;
      first = (int64_t)chunk * CHUNK_PAGES + seen;
    }
  }
  if (page < 0) page = heap_find(heap, npages, &first);
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

#endif
