// Times one case of the benchmark in plain C; see measure.h for what it prints:
//
//   bench BUDGET_MS LEAST_SAMPLES kernel NAME [PARAMETER] CHECK   < chunks
//   bench BUDGET_MS LEAST_SAMPLES random|same|cache CHECK         < 32-bit words: see read_fragments
//   bench BUDGET_MS LEAST_SAMPLES sustained|loop LEAST CHECK      < the same
//   bench BUDGET_MS LEAST_SAMPLES mixed|cached LEAST CHECK        < 32-bit words: see read_mix
//   bench BUDGET_MS LEAST_SAMPLES scavengeOne|scavenge|alloc|grow|cacheAlloc CHUNKS
//   bench BUDGET_MS LEAST_SAMPLES replay|replayAll EVENTS         < events: see replay.h
#include "heap.h"
#include "measure.h"
#include "replay.h"

// ---- kernels ----

static Chunk *chunks;
static uint32_t nchunks, parameter;

// Runs `body` for one chunk after another. `c` is the chunk.
#define KERNEL(name, body)                             \
  static double kernel_##name(uint32_t operations) {   \
    uint64_t sum = 0;                                  \
    for (uint32_t i = 0, k = 0; i < operations; i++) { \
      Chunk *c = &chunks[k];                           \
      BARRIER();                                       \
      body;                                            \
      k = k + 1 == nchunks ? 0 : k + 1;                \
    }                                                  \
    return (double)(int64_t)sum;                       \
  }

KERNEL(has, sum += has_scavenge_candidate(c, parameter))
KERNEL(candidate, Run run = find_scavenge_candidate(c, 511, parameter, 512, 0);
       sum += run.npages ? run.start + run.npages : 0)
KERNEL(summarize, Sum s = summarize(c->alloc); sum += s.start + s.max + s.end)
KERNEL(find, int32_t first; sum += (uint64_t)(int64_t)find(c->alloc, parameter, 0, &first))
KERNEL(popcnt, sum += popcnt_range(c->alloc, 6, parameter))
KERNEL(alloc_free, chunk_alloc(c, 30, parameter); BARRIER(); clear_range(c->alloc, 30, parameter); sum++)

static double kernel_fill(uint32_t operations) {
  uint64_t *words = (uint64_t *)chunks, sum = 0;
  uint32_t nwords = nchunks * 2 * WORDS;
  for (uint32_t i = 0, k = 0; i < operations; i++) {
    BARRIER();
    sum ^= fill_aligned(words[k], parameter);
    k = k + 1 == nwords ? 0 : k + 1;
  }
  return (double)(uint32_t)sum;
}

static const struct {
  const char *name;
  double (*run)(uint32_t operations);
} KERNELS[] = {
    {"hasScavengeCandidate", kernel_has}, {"findScavengeCandidate", kernel_candidate},
    {"summarize", kernel_summarize},      {"find", kernel_find},
    {"popcntRange", kernel_popcnt},       {"allocFreeRange", kernel_alloc_free},
    {"fillAligned", kernel_fill},
};

// ---- heaps ----

static Heap heap, fresh;
static uint32_t *victims, *live, *held, nlive, nvictims, npages, size;

static void fill(Heap *of, uint32_t from, uint32_t to) {
  for (uint32_t chunk = from; chunk < to; chunk++) heap_alloc_range(of, (int64_t)chunk * CHUNK_PAGES, CHUNK_PAGES);
}

// The input starts with five counts: chunks, pages per block (npages), free blocks, live blocks and victims. The free
// blocks, the live blocks and the victims follow.
static void read_fragments(void) {
  size_t nbytes;
  uint32_t *input = read_input(&nbytes);
  npages = input[1];
  nlive = input[3];
  nvictims = input[4];
  uint32_t nfree = input[2], *blocks = input + 5;
  heap = heap_new(input[0]);
  fill(&heap, 0, input[0]);
  heap.search = INT64_MAX;
  for (uint32_t i = 0; i < nfree; i++) heap_free(&heap, (int64_t)blocks[i] * npages, npages);
  fresh = heap_new(input[0]);
  heap_copy(&fresh, &heap);
  live = blocks + nfree;
  victims = live + nlive;
  held = malloc(nlive * sizeof *held);
}

static void prepare_random(void) {
  heap_copy(&heap, &fresh);
  for (uint32_t i = 0; i < nlive; i++) held[i] = live[i] * npages;
}

static double run_random(uint32_t operations) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    int64_t page = heap_alloc(&heap, npages);
    heap_free(&heap, held[victims[i]], npages);
    held[victims[i]] = (uint32_t)page;
    sum += (uint64_t)page;
  }
  return (double)sum;
}

// As run_random, but each run goes on where the one before ended.
static double run_sustained(uint32_t operations) {
  static uint32_t turn;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    int64_t page = heap_alloc(&heap, npages);
    uint32_t victim = victims[turn++ & (nvictims - 1)];
    heap_free(&heap, held[victim], npages);
    held[victim] = (uint32_t)page;
    sum += (uint64_t)page;
  }
  return (double)sum;
}

// The sizes and victims of a mixed case repeat after nvictims pairs. `lengths` has the size of each live block. With
// `mix_cached`, small blocks come from a page cache.
static uint32_t *sizes, *lengths, every, mix_turn;
static bool mix_cached;
static PageCache mix_cache;

// The input starts with four counts: chunks, live blocks, victims, and how often a page is scavenged. The sizes and the
// victims follow.
static void read_mix(void) {
  size_t nbytes;
  uint32_t *input = read_input(&nbytes);
  nlive = input[1];
  nvictims = input[2];
  every = input[3];
  sizes = input + 4;
  victims = sizes + nvictims;
  heap = heap_new(input[0]);
  heap_reset_scavenge(&heap);
  held = malloc(nlive * sizeof *held);
  lengths = malloc(nlive * sizeof *lengths);
  for (uint32_t i = 0; i < nlive; i++) {
    lengths[i] = sizes[i & (nvictims - 1)];
    held[i] = (uint32_t)heap_alloc(&heap, lengths[i]);
  }
  if (mix_cached) mix_cache = heap_alloc_to_cache(&heap);
}

static int64_t alloc_mixed(uint32_t count) {
  int64_t page = mix_cached && count < CACHED_PAGES_LIMIT ? alloc_cached(&heap, &mix_cache, count) : -1;
  return page < 0 ? heap_alloc(&heap, count) : page;
}

static double run_mixed(uint32_t operations) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    uint32_t victim = victims[mix_turn & (nvictims - 1)];
    heap_free(&heap, held[victim], lengths[victim]);
    lengths[victim] = sizes[mix_turn++ & (nvictims - 1)];
    held[victim] = (uint32_t)alloc_mixed(lengths[victim]);
    sum += held[victim];
    if (mix_turn & (every - 1)) continue;
    uint32_t released = heap_scavenge_one(&heap, 1);
    if (!released) heap_reset_scavenge(&heap);
    sum += released;
  }
  return (double)sum;
}

// The loop of run_sustained alone.
static double run_loop(uint32_t operations) {
  static uint32_t turn;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    uint32_t victim = victims[turn++ & (nvictims - 1)], page = held[victim];
    held[victim] = page ^ 1;
    sum += page;
  }
  return (double)sum;
}

static double run_same(uint32_t operations) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    int64_t page = heap_alloc(&heap, npages);
    heap_free(&heap, page, npages);
    sum += (uint64_t)page;
  }
  return (double)sum;
}

static void prepare_lowest(void) {
  heap_alloc_range(&heap, 0, CHUNK_PAGES);
  heap_free(&heap, 0, CHUNK_PAGES);
}

static double run_scavenge_one(uint32_t operations) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    heap_reset_scavenge(&heap);
    sum += heap_scavenge_one(&heap, 1);
  }
  return (double)sum * 8192;
}

static void prepare_pages(void) {
  for (uint32_t chunk = 0; chunk < size; chunk++) memset(heap.chunks[chunk].scavenged, 0, WORDS * 8);
  heap_reset_scavenge(&heap);
}

static double run_scavenge(uint32_t operations) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) sum += heap_scavenge_one(&heap, 1);
  return (double)sum * 8192;
}

static void prepare_highest(void) {
  fill(&heap, 0, size);
  heap.search = INT64_MAX;
  heap_free(&heap, 5, 1);
  heap_free(&heap, (int64_t)(size - 1) * CHUNK_PAGES, 2);
}

static double run_cache(uint32_t operations) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    PageCache cache = heap_alloc_to_cache(&heap);
    sum += (uint64_t)cache.base;
    cache_flush(&cache, &heap);
  }
  return (double)sum;
}

static double run_cache_alloc(uint32_t operations) {
  // In memory, as the page cache of a P is.
  static PageCache cache;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < operations; i++) {
    cache = heap_alloc_to_cache(&heap);
    for (uint32_t page = 0; page < 64; page++) {
      BARRIER();
      sum += (uint64_t)cache_alloc(&cache, 1);
    }
    cache_flush(&cache, &heap);
    heap_free(&heap, 0, 64);
  }
  return (double)sum;
}

static double run_grow(uint32_t operations) {
  for (uint32_t i = 0; i < operations; i++) {
    Heap grown = heap_new(size);
    BARRIER();
    free(grown.block);
  }
  return operations;
}

// ---- replays ----

static const Event *events;
static uint32_t nevents;
static Replay replay;

static void prepare_replay(void) {
  replay_dispose(&replay);
  replay = replay_new(events, nevents);
}

// Both runs do one operation, which is the whole trace. They return how many allocs got the address that Go gave.
static double run_replay(uint32_t operations) {
  (void)operations;
  return replay_events(&replay);
}

static double run_replay_all(uint32_t operations) {
  replay = replay_new(events, nevents);
  double matches = run_replay(operations);
  replay_dispose(&replay);
  return matches;
}

// ---- the command ----

static int measure_kernel(int argc, char **argv, double budget_ns, size_t least) {
  size_t nbytes;
  chunks = read_input(&nbytes);
  nchunks = (uint32_t)(nbytes / sizeof(Chunk));
  parameter = argc > 2 ? (uint32_t)atoi(argv[1]) : 0;
  uint32_t check = (uint32_t)atoi(argv[argc - 1]);
  for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++) {
    if (strcmp(KERNELS[i].name, argv[0])) continue;
    measure(&(Case){.run = KERNELS[i].run, .most = 1u << 30, .check = check}, budget_ns, least);
    return 0;
  }
  return unknown(argv[0]);
}

static int measure_steady(const char *name, uint32_t fewest, uint32_t check, double budget_ns, size_t least) {
  Case c = {.run = run_loop, .most = 1u << 30, .check = check, .least = fewest};
  mix_cached = !strcmp(name, "cached");
  if (mix_cached || !strcmp(name, "mixed")) {
    c.run = run_mixed;
    read_mix();
  } else {
    if (!strcmp(name, "sustained")) c.run = run_sustained;
    read_fragments();
    prepare_random();
  }
  measure(&c, budget_ns, least);
  return 0;
}

static int measure_replay(bool all, uint32_t number, double budget_ns, size_t least) {
  size_t nbytes;
  events = read_input(&nbytes);
  nevents = number;
  Case c = {.run = run_replay, .prepare = prepare_replay, .most = 1, .check = 1, .units = number};
  if (all) c = (Case){.run = run_replay_all, .most = 1, .check = 1, .units = number};
  measure(&c, budget_ns, least);
  return 0;
}

static int measure_heap(const char *name, uint32_t number, double budget_ns, size_t least) {
  Case c = {.most = 1u << 30, .check = 1};
  size = number;
  if (!strcmp(name, "random") || !strcmp(name, "same") || !strcmp(name, "cache")) {
    read_fragments();
    c.check = number;
    c.run = !strcmp(name, "same") ? run_same : run_cache;
    if (!strcmp(name, "random")) {
      c = (Case){.prepare = prepare_random, .run = run_random, .most = number, .check = number};
    }
  } else if (!strcmp(name, "grow")) {
    c.run = run_grow;
  } else {
    heap = heap_new(number);
    if (!strcmp(name, "scavengeOne")) {
      c = (Case){.prepare = prepare_lowest, .run = run_scavenge_one, .most = CHUNK_PAGES, .check = 1};
    } else if (!strcmp(name, "scavenge")) {
      c = (Case){.prepare = prepare_pages, .run = run_scavenge, .most = number * CHUNK_PAGES, .check = 1};
    } else if (!strcmp(name, "alloc")) {
      prepare_highest();
      npages = 2;
      c.run = run_same;
    } else if (!strcmp(name, "cacheAlloc")) {
      c.run = run_cache_alloc;
      c.units = 64;
    } else return unknown(name);
  }
  measure(&c, budget_ns, least);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 5) return unknown("too few arguments");
  double budget_ns = atof(argv[1]) * 1e6;
  size_t least = (size_t)atoi(argv[2]);
  make_byte_tables();
  if (!strcmp(argv[3], "kernel")) return measure_kernel(argc - 4, argv + 4, budget_ns, least);
  uint32_t number = (uint32_t)atoi(argv[4]);
  bool all = !strcmp(argv[3], "replayAll");
  if (all || !strcmp(argv[3], "replay")) return measure_replay(all, number, budget_ns, least);
  if (argc > 5) return measure_steady(argv[3], number, (uint32_t)atoi(argv[5]), budget_ns, least);
  return measure_heap(argv[3], number, budget_ns, least);
}
