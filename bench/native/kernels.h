// The kernels in plain C: the algorithms of the Go runtime of 2019, with palloc's corrections. A chunk is two bitmaps
// of 512 pages, eight 64-bit words each.
#ifndef KERNELS_H
#define KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#define CHUNK_PAGES 512
#define WORDS 8

typedef struct {
  uint64_t alloc[WORDS];
  uint64_t scavenged[WORDS];
} Chunk;

// A packed summary: start, max and end in 21 bits each. The top bit means that all 2^21 pages are free.
#define SUM_MOST (1u << 21)
#define SUM_ALL (1ull << 63)

typedef struct {
  uint32_t start, max, end;
} Sum;

static inline uint32_t leading_zeros(uint64_t x) { return x ? (uint32_t)__builtin_clzll(x) : 64; }
static inline uint32_t trailing_zeros(uint64_t x) { return x ? (uint32_t)__builtin_ctzll(x) : 64; }

// Returns n ones from bit i on. i + n is at most 64.
static inline uint64_t ones(uint32_t i, uint32_t n) { return (~0ull >> (64 - n)) << i; }

static inline void set_range(uint64_t *bits, uint32_t i, uint32_t n) {
  for (uint32_t at = i, end = i + n; at < end;) {
    uint32_t count = 64 - at % 64 < end - at ? 64 - at % 64 : end - at;
    bits[at / 64] |= ones(at % 64, count);
    at += count;
  }
}

static inline void clear_range(uint64_t *bits, uint32_t i, uint32_t n) {
  for (uint32_t at = i, end = i + n; at < end;) {
    uint32_t count = 64 - at % 64 < end - at ? 64 - at % 64 : end - at;
    bits[at / 64] &= ~ones(at % 64, count);
    at += count;
  }
}

static inline uint32_t popcnt_range(const uint64_t *bits, uint32_t i, uint32_t n) {
  uint32_t sum = 0;
  for (uint32_t at = i, end = i + n; at < end;) {
    uint32_t count = 64 - at % 64 < end - at ? 64 - at % 64 : end - at;
    sum += (uint32_t)__builtin_popcountll(bits[at / 64] & ones(at % 64, count));
    at += count;
  }
  return sum;
}

static inline void chunk_alloc(Chunk *chunk, uint32_t i, uint32_t n) {
  set_range(chunk->alloc, i, n);
  clear_range(chunk->scavenged, i, n);
}

// c is all ones, except for the top bit of each group. So a group's top bit stays 0 only if all of the group is 0.
static inline uint64_t empty_tops(uint64_t x, uint64_t c) { return ~(((x & c) + c) | x | c); }

// Returns x with all bits set in each aligned group of m bits that has a 1. m is a power of two, 1 to 64.
static inline uint64_t fill_aligned(uint64_t x, uint32_t m) {
  switch (m) {
    case 1: return x;
    case 2: x = empty_tops(x, 0x5555555555555555); break;
    case 4: x = empty_tops(x, 0x7777777777777777); break;
    case 8: x = empty_tops(x, 0x7f7f7f7f7f7f7f7f); break;
    case 16: x = empty_tops(x, 0x7fff7fff7fff7fff); break;
    case 32: x = empty_tops(x, 0x7fffffff7fffffff); break;
    default: x = empty_tops(x, 0x7fffffffffffffff); break;
  }
  return ~((x - (x >> (m - 1))) | x);
}

// Returns a word that has a 0 for each page of a candidate.
static inline uint64_t filled(const Chunk *chunk, uint32_t word, uint32_t min) {
  return fill_aligned(chunk->alloc[word] | chunk->scavenged[word], min);
}

static inline bool has_scavenge_candidate(const Chunk *chunk, uint32_t min) {
  for (int word = WORDS - 1; word >= 0; word--) {
    if (~filled(chunk, (uint32_t)word, min)) return true;
  }
  return false;
}

typedef struct {
  uint32_t start, npages;
} Run;

static inline Run find_scavenge_candidate(const Chunk *chunk, uint32_t search, uint32_t min, uint32_t max,
                                          uint32_t huge) {
  int word = (int)(search / 64);
  while (word >= 0 && !~filled(chunk, (uint32_t)word, min)) word--;
  if (word < 0) return (Run){0, 0};

  uint64_t x = filled(chunk, (uint32_t)word, min);
  uint32_t above = leading_zeros(~x), end = (uint32_t)word * 64 + 64 - above;
  uint32_t run = 64 - above;
  if (x << above) {
    run = leading_zeros(x << above);
  } else {
    for (word--; word >= 0; word--) {
      x = filled(chunk, (uint32_t)word, min);
      run += leading_zeros(x);
      if (x) break;
    }
  }

  max = max < min ? min : (max + min - 1) & -min;
  uint32_t start = end - (run < max ? run : max);
  if (huge) {
    uint32_t huge_above = (start + huge - 1) & -huge, huge_below = start & -huge;
    if (huge_above <= end && huge_below >= end - run) start = huge_below;
  }
  return (Run){start, end - start};
}

// For each value of a byte: the free pages at its start and end, and the longest run inside.
static uint8_t byte_start[256], byte_end[256], byte_max[256];

static void make_byte_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint8_t run = 0, longest = 0;
    for (uint32_t i = 0; i < 8; i++) {
      run = byte >> i & 1 ? 0 : run + 1;
      if (run > longest) longest = run;
    }
    byte_max[byte] = longest;
    byte_start[byte] = (uint8_t)(byte ? __builtin_ctz(byte) : 8);
    byte_end[byte] = (uint8_t)(byte ? __builtin_clz(byte) - 24 : 8);
  }
}

static inline Sum summarize(const uint64_t *bits) {
  uint32_t start = CHUNK_PAGES, max = 0, run = 0;
  for (uint32_t word = 0; word < WORDS; word++) {
    for (uint32_t shift = 0; shift < 64; shift += 8) {
      uint8_t byte = (uint8_t)(bits[word] >> shift);
      if (!byte) {
        run += 8;
        continue;
      }
      run += byte_start[byte];
      if (start == CHUNK_PAGES) start = run;
      if (run > max) max = run;
      if (byte_max[byte] > max) max = byte_max[byte];
      run = byte_end[byte];
    }
  }
  return (Sum){start, run > max ? run : max, run};
}

// Returns where n ones in a row start in x; 64 if nowhere.
static inline uint32_t find_bit_range(uint64_t x, uint32_t n) {
  uint32_t at = 0;
  while (x) {
    uint32_t zeros = trailing_zeros(x);
    x >>= zeros;
    at += zeros;
    uint32_t run = trailing_zeros(~x);
    if (run >= n) return at;
    x >>= run;
    at += run;
  }
  return 64;
}

// Returns the first run of npages free pages, from the word of `search` on; -1 if there is none. *first is the first
// free page.
static inline int32_t find(const uint64_t *bits, uint32_t npages, uint32_t search, int32_t *first) {
  uint32_t run = 0;
  *first = -1;
  for (uint32_t word = search / 64; word < WORDS; word++) {
    uint64_t used = bits[word];
    if (!~used) {
      run = 0;
      continue;
    }
    if (*first < 0) *first = (int32_t)(word * 64 + trailing_zeros(~used));
    if (run + trailing_zeros(used) >= npages) return (int32_t)(word * 64 - run);
    if (npages <= 64) {
      uint32_t within = find_bit_range(~used, npages);
      if (within < 64) return (int32_t)(word * 64 + within);
    }
    run = used ? leading_zeros(used) : run + 64;
  }
  return -1;
}

#endif
