// A replay of a Go program's page events in plain C, as in src/trace/replay/. A P serves small requests from a page
// cache. The heap serves the rest, and grows when it has no room. Pages may lie elsewhere than Go placed them, so a
// table has which event allocated each recorded page. Of the report, only the allocs that got Go's address are counted.
#ifndef REPLAY_H
#define REPLAY_H

#include <stdio.h>
#include <stdlib.h>

#include "heap.h"

// The kinds of events that a replay heeds.
enum { EVENT_ALLOC = 1, EVENT_FREE = 2 };

// A P serves requests of fewer pages from its page cache.
#define CACHED_PAGES_LIMIT 16
// Chunks that the heap may grow to: 4 GiB.
#define HEAP_ROOM 1024
// In place of the allocating event: the page was in use before the trace began.
#define BEFORE (-1)

// An event has five 32-bit words. Its first page is the last two, the lower one first.
typedef struct {
  uint32_t kind, npages;
  int32_t proc;
  uint32_t page_low, page_high;
} Event;

// The chunks that a trace touches are numbered upward. A page's cell is its chunk's number times 512, plus its index.
typedef struct {
  const Event *events;
  uint32_t nevents;
  Heap heap;
  // By P.
  PageCache *caches;
  // By event: the cell of its first page; for an alloc, where the heap has placed it.
  uint32_t *cell;
  int64_t *placed;
  // By cell: the event that allocated it, plus 1; 0 if it is not in use, or BEFORE.
  int32_t *allocated_by;
  // The first page of the heap as recorded, and its cell.
  int64_t first_page;
  uint32_t first_cell;
} Replay;

static int64_t page_of(const Event *event) { return (int64_t)event->page_high << 32 | event->page_low; }

static void refuse_event(uint32_t event, const char *why) {
  fprintf(stderr, "event %u: %s\n", event, why);
  exit(1);
}

// Numbers the cells of the trace. Returns how many there are.
static uint32_t number_cells(Replay *replay) {
  int64_t low = INT64_MAX, high = 0;
  for (uint32_t i = 0; i < replay->nevents; i++) {
    int64_t page = page_of(&replay->events[i]), last = page + replay->events[i].npages - 1;
    if (page / CHUNK_PAGES < low) low = page / CHUNK_PAGES;
    if (last / CHUNK_PAGES > high) high = last / CHUNK_PAGES;
  }
  uint32_t *numbers = calloc((size_t)(high - low + 1), sizeof *numbers), count = 0;
  for (uint32_t i = 0; i < replay->nevents; i++) {
    int64_t page = page_of(&replay->events[i]), last = page + replay->events[i].npages - 1;
    for (int64_t chunk = page / CHUNK_PAGES; chunk <= last / CHUNK_PAGES; chunk++) numbers[chunk - low] = 1;
  }
  for (int64_t chunk = low; chunk <= high; chunk++) {
    if (numbers[chunk - low]) numbers[chunk - low] = count++;
  }
  for (uint32_t i = 0; i < replay->nevents; i++) {
    int64_t page = page_of(&replay->events[i]);
    replay->cell[i] = numbers[page / CHUNK_PAGES - low] * CHUNK_PAGES + (uint32_t)(page % CHUNK_PAGES);
  }
  free(numbers);
  return count * CHUNK_PAGES;
}

static void grow_for(Replay *replay, uint32_t npages, uint32_t event) {
  if (!heap_grow(&replay->heap, (npages + CHUNK_PAGES - 1) / CHUNK_PAGES)) refuse_event(event, "the heap is too large");
}

// Returns a replay that has not begun. Pages below the first event's, in its chunk, are in use.
static Replay replay_new(const Event *events, uint32_t nevents) {
  Replay replay = {.events = events, .nevents = nevents, .heap = heap_reserve(HEAP_ROOM)};
  replay.cell = malloc(nevents * sizeof *replay.cell);
  replay.placed = malloc(nevents * sizeof *replay.placed);
  replay.allocated_by = calloc(number_cells(&replay), sizeof *replay.allocated_by);
  int32_t procs = 0;
  for (uint32_t i = 0; i < nevents; i++) if (events[i].proc >= procs) procs = events[i].proc + 1;
  replay.caches = calloc((size_t)procs + 1, sizeof *replay.caches);
  uint32_t before = (uint32_t)(page_of(events) % CHUNK_PAGES);
  replay.first_page = page_of(events) - before;
  replay.first_cell = replay.cell[0] - before;
  if (before) {
    grow_for(&replay, before, 0);
    heap_alloc_range(&replay.heap, 0, before);
    for (uint32_t cell = 0; cell < before; cell++) replay.allocated_by[replay.first_cell + cell] = BEFORE;
  }
  return replay;
}

static void replay_dispose(Replay *replay) {
  free(replay->heap.block);
  free(replay->caches);
  free(replay->cell);
  free(replay->placed);
  free(replay->allocated_by);
}

// Allocates from a page cache, which is refilled if it is empty. Returns -1 when it has no such run.
static int64_t alloc_cached(Heap *heap, PageCache *cache, uint32_t npages) {
  int64_t page = cache_alloc(cache, npages);
  if (page >= 0 || cache->cache) return page;
  *cache = heap_alloc_to_cache(heap);
  return cache_alloc(cache, npages);
}

static int64_t replay_alloc(Replay *replay, uint32_t i) {
  const Event *event = &replay->events[i];
  Heap *heap = &replay->heap;
  int64_t page = -1;
  if (!heap->nchunks) grow_for(replay, event->npages, i);
  else if (event->npages < CACHED_PAGES_LIMIT && event->proc >= 0)
    page = alloc_cached(heap, &replay->caches[event->proc], event->npages);
  if (page < 0) page = heap_alloc(heap, event->npages);
  if (page < 0) {
    grow_for(replay, event->npages, i);
    page = heap_alloc(heap, event->npages);
  }
  int32_t *cells = replay->allocated_by + replay->cell[i];
  for (uint32_t cell = 0; cell < event->npages; cell++) {
    if (cells[cell] > 0) refuse_event(i, "a page is allocated twice");
    cells[cell] = (int32_t)i + 1;
  }
  return replay->placed[i] = page;
}

// Frees the pages of an event, one run of pages from the same allocation after another.
static void replay_free(Replay *replay, uint32_t i) {
  for (uint32_t cell = replay->cell[i], end = cell + replay->events[i].npages; cell < end;) {
    int32_t source = replay->allocated_by[cell];
    uint32_t first = cell;
    if (!source) refuse_event(i, "a page is freed, but not in use");
    do replay->allocated_by[cell++] = 0;
    while (cell < end && replay->allocated_by[cell] == source);
    int64_t page = source == BEFORE ? (int64_t)first - replay->first_cell
                                    : replay->placed[source - 1] + first - replay->cell[source - 1];
    heap_free(&replay->heap, page, cell - first);
  }
}

// Replays all events. Returns how many allocs got the address that Go gave.
static uint32_t replay_events(Replay *replay) {
  uint32_t matches = 0;
  for (uint32_t i = 0; i < replay->nevents; i++) {
    const Event *event = &replay->events[i];
    if (event->kind == EVENT_ALLOC) {
      if (replay_alloc(replay, i) + replay->first_page == page_of(event)) matches++;
    } else if (event->kind == EVENT_FREE) {
      replay_free(replay, i);
    }
  }
  return matches;
}

#endif
