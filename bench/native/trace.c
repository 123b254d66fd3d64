// Reads a page trace of Go from a file, and replays it, as `palloc replay` does. Prints a line of JSON:
//
//   { "events", "addressMatches", "peakInUseBytes", "scavengedBytes", "memory" }
//
// A first pass over the file finds each P's buffers. Then they are merged by time, with one buffer of each P in memory.
// src/trace/formats/go-page-trace/decode.ts describes the file. "memory" is the most bytes that the process has had; 0
// if the system does not say. Only what can cause wrong accesses is checked.
//
//   trace FILE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "heap.h"

enum { ALLOC = 1, FREE = 2, SCAVENGE = 3 };

#define CACHED_PAGES_LIMIT 16
// Chunks that the heap may grow to: 4 GiB.
#define HEAP_ROOM 1024
#define PAGE_BYTES 8192
#define BLOCK_WORDS (1 << 15)
#define PROCS_MOST 4096
// In place of a page of the heap: the page was in use before the trace began, and is where it was recorded.
#define BEFORE UINT32_MAX

typedef struct {
  // Words of the file.
  int64_t from, to;
} Buffer;

typedef struct {
  int64_t id;
  Buffer *buffers;
  uint32_t count, room, next;
  // The words of the current buffer, and the next one of them.
  uint64_t *words;
  int64_t nwords, words_room, at;
  // In ticks.
  uint64_t time_base;
  // The next event.
  uint64_t time, page;
  uint32_t kind, npages;
  PageCache cache;
} Proc;

static int file;
static Proc *procs;
static uint32_t nprocs;

static void refuse(const char *why) {
  fprintf(stderr, "%s\n", why);
  exit(1);
}

// ---- the file ----

static int64_t read_words(int64_t from, int64_t count, uint64_t *words) {
  int64_t want = count * 8, got = 0;
  while (got < want) {
    ssize_t n = pread(file, (char *)words + got, (size_t)(want - got), (off_t)(from * 8 + got));
    if (n <= 0) break;
    got += n;
  }
  return got / 8;
}

static Proc *proc_of(int64_t id) {
  for (uint32_t i = 0; i < nprocs; i++) if (procs[i].id == id) return &procs[i];
  if (nprocs == PROCS_MOST) refuse("the trace has too many Ps");
  procs[nprocs] = (Proc){.id = id};
  return &procs[nprocs++];
}

static void add_buffer(Proc *proc, int64_t from, int64_t to) {
  if (proc->count == proc->room) {
    proc->room = proc->room ? 2 * proc->room : 16;
    proc->buffers = realloc(proc->buffers, proc->room * sizeof *proc->buffers);
  }
  proc->buffers[proc->count++] = (Buffer){from, to};
}

// Finds where the buffers of each P are.
static void find_buffers(void) {
  uint64_t *words = malloc(BLOCK_WORDS * sizeof *words);
  Proc *current = NULL;
  int64_t start = 0, at = 0, got;
  bool is_count = false;
  for (; (got = read_words(at, BLOCK_WORDS, words)) > 0; at += got) {
    for (int64_t i = 0; i < got; i++) {
      uint64_t word = words[i];
      if (is_count) is_count = false;
      else if (word & 3) is_count = word & 4;
      else if (word & 4) {
        if (current) add_buffer(current, start, at + i);
        current = proc_of((int64_t)word >> 3);
        start = at + i;
      }
    }
  }
  if (!current) refuse("this is not a page trace");
  add_buffer(current, start, at);
  free(words);
}

// Moves on to the next event of a P. Returns false if there is none.
static bool advance(Proc *proc) {
  for (;;) {
    if (proc->at == proc->nwords) {
      if (proc->next == proc->count) return false;
      Buffer buffer = proc->buffers[proc->next++];
      proc->nwords = buffer.to - buffer.from;
      if (proc->nwords > proc->words_room) {
        proc->words_room = proc->nwords;
        proc->words = realloc(proc->words, (size_t)proc->nwords * sizeof *proc->words);
      }
      if (read_words(buffer.from, proc->nwords, proc->words) != proc->nwords) refuse("the trace has changed");
      proc->at = 1;
      continue;
    }
    uint64_t word = proc->words[proc->at++];
    if (!(word & 3)) {
      proc->time_base = word >> 3;
      continue;
    }
    proc->kind = word & 3;
    proc->time = proc->time_base + (word >> 48);
    proc->page = (word & 0xffffffffffff) / PAGE_BYTES;
    if (!(word & 4)) proc->npages = word >> 3 & 0x3ff;
    else if (proc->at < proc->nwords) proc->npages = (uint32_t)proc->words[proc->at++];
    else refuse("the trace is cut short");
    return true;
  }
}

// The Ps that have events left: a binary heap, by the time of the next one, then by where its buffer is.
static Proc **queue;
static uint32_t queued;

static bool is_earlier(const Proc *a, const Proc *b) {
  if (a->time != b->time) return a->time < b->time;
  return a->buffers[a->next - 1].from < b->buffers[b->next - 1].from;
}

static void sift(uint32_t i) {
  Proc *proc = queue[i];
  for (uint32_t child; (child = 2 * i + 1) < queued; i = child) {
    if (child + 1 < queued && is_earlier(queue[child + 1], queue[child])) child++;
    if (!is_earlier(queue[child], proc)) break;
    queue[i] = queue[child];
  }
  queue[i] = proc;
}

// ---- the replay ----

static Heap heap;
// The first page of the heap as recorded. Pages of the heap count from 0.
static uint64_t first_page;
// By recorded page, from the first on: where the heap has placed it, plus 1; 0 if it is not in use.
static uint32_t *placed;
static uint64_t in_use, peak, scavenged, matches, events;

static void grow_for(uint32_t npages) {
  if (!heap_grow(&heap, (npages + CHUNK_PAGES - 1) / CHUNK_PAGES)) refuse("the heap is too large");
}

// Begins at the first event's chunk. Pages below the event's are in use.
static void begin(uint64_t page) {
  heap = heap_reserve(HEAP_ROOM);
  placed = calloc(HEAP_ROOM * CHUNK_PAGES, sizeof *placed);
  uint32_t before = (uint32_t)(page % CHUNK_PAGES);
  first_page = page - before;
  if (!before) return;
  grow_for(before);
  heap_alloc_range(&heap, 0, before);
  for (uint32_t i = 0; i < before; i++) placed[i] = BEFORE;
}

static uint32_t *placed_at(const Proc *event) {
  if (event->page < first_page || event->page - first_page + event->npages > HEAP_ROOM * CHUNK_PAGES)
    refuse("an event is outside of the heap");
  return placed + (event->page - first_page);
}

static int64_t alloc_cached(PageCache *cache, uint32_t npages) {
  int64_t page = cache_alloc(cache, npages);
  if (page >= 0 || cache->cache) return page;
  *cache = heap_alloc_to_cache(&heap);
  return cache_alloc(cache, npages);
}

static void replay_alloc(Proc *event) {
  uint32_t npages = event->npages, *cells = placed_at(event);
  int64_t page = -1;
  if (!heap.nchunks) grow_for(npages);
  else if (npages < CACHED_PAGES_LIMIT && event->id >= 0) page = alloc_cached(&event->cache, npages);
  if (page < 0) page = heap_alloc(&heap, npages);
  if (page < 0) {
    grow_for(npages);
    page = heap_alloc(&heap, npages);
  }
  for (uint32_t i = 0; i < npages; i++) {
    if (cells[i] && cells[i] != BEFORE) refuse("a page is allocated twice");
    cells[i] = (uint32_t)page + i + 1;
  }
  if (first_page + (uint64_t)page == event->page) matches++;
  in_use += npages;
  if (in_use > peak) peak = in_use;
}

// Frees one run of pages that lie next to each other after another.
static void replay_free(const Proc *event) {
  uint32_t *cells = placed_at(event);
  for (uint32_t i = 0; i < event->npages;) {
    uint32_t first = i, page = cells[i], step = page != BEFORE;
    if (!page) refuse("a page is freed, but not in use");
    do cells[i++] = 0;
    while (i < event->npages && cells[i] == page + step * (i - first));
    if (step) in_use -= i - first;
    heap_free(&heap, step ? page - 1 : (int64_t)(event->page - first_page) + first, i - first);
  }
}

// Releases those of the event's pages that are free.
static void replay_scavenge(const Proc *event) {
  placed_at(event);
  for (uint64_t at = event->page - first_page, end = at + event->npages; at < end;) {
    uint32_t i = at % 64, n = 64 - i < end - at ? 64 - i : (uint32_t)(end - at);
    if (at / CHUNK_PAGES >= heap.nchunks) return;
    Chunk *chunk = &heap.chunks[at / CHUNK_PAGES];
    uint32_t word = at % CHUNK_PAGES / 64;
    uint64_t released = ones(i, n) & ~chunk->alloc[word] & ~chunk->scavenged[word];
    chunk->scavenged[word] |= released;
    scavenged += (uint64_t)__builtin_popcountll(released);
    at += n;
  }
}

static void replay(void) {
  queue = malloc(nprocs * sizeof *queue);
  for (uint32_t i = 0; i < nprocs; i++) if (advance(&procs[i])) queue[queued++] = &procs[i];
  for (uint32_t i = queued; i-- > 0;) sift(i);
  if (queued) begin(queue[0]->page);
  while (queued) {
    Proc *event = queue[0];
    if (event->kind == ALLOC) replay_alloc(event);
    else if (event->kind == FREE) replay_free(event);
    else replay_scavenge(event);
    events++;
    if (!advance(event)) queue[0] = queue[--queued];
    if (queued) sift(0);
  }
}

// What getrusage says may be that of the process that has started this one.
static uint64_t most_memory(void) {
  FILE *status = fopen("/proc/self/status", "r");
  char line[256];
  uint64_t kib = 0;
  while (status && fgets(line, sizeof line, status))
    if (!strncmp(line, "VmHWM:", 6)) kib = strtoull(line + 6, NULL, 10);
  if (status) fclose(status);
  return kib * 1024;
}

int main(int argc, char **argv) {
  if (argc != 2 || (file = open(argv[1], O_RDONLY)) < 0) refuse("usage: trace FILE");
  make_byte_tables();
  procs = malloc(PROCS_MOST * sizeof *procs);
  find_buffers();
  replay();
  printf("{\"events\":%llu,\"addressMatches\":%llu,\"peakInUseBytes\":%llu,\"scavengedBytes\":%llu,\"memory\":%llu}\n",
         (unsigned long long)events, (unsigned long long)matches, (unsigned long long)peak * PAGE_BYTES,
         (unsigned long long)scavenged * PAGE_BYTES, (unsigned long long)most_memory());
}
