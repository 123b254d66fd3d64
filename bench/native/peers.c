// Times a peer of the heap in plain C; see measure.h for what it prints:
//
//   peers BUDGET_MS LEAST_SAMPLES bins|tlsf LEAST CHECK   < 32-bit words: see read_blocks
//
// The peers are those of bench/peers/, which say how they work. They return the same addresses. Addresses and sizes are
// in pages.
#include <stdbool.h>

#include "measure.h"

// In place of a node: none, or in its `prev`, that it is in use and so in no list.
enum { NONE = -1, IN_USE = -2 };

// ---- lists by size, in two levels ----

#define MOST_BITS 5

// The first node of each list, which lists of a class have one, and which classes do.
typedef struct {
  int32_t heads[32 << MOST_BITS];
  uint32_t lists[32], classes;
} Lists;

static uint32_t lowest_bit(uint32_t bits) { return (uint32_t)__builtin_ctz(bits); }

// Returns the list that a free range goes to. A class has 1 << bits lists.
static inline uint32_t list_of(uint32_t size, uint32_t bits) {
  if (size < 1u << bits) return size;
  uint32_t shift = 31 - bits - (uint32_t)__builtin_clz(size);
  return ((shift + 1) << bits) + (size >> shift & ((1u << bits) - 1));
}

// Returns the first list whose ranges are all at least that long.
static inline uint32_t first_list_for(uint32_t size, uint32_t bits) {
  if (size < 1u << bits) return size;
  return list_of(size + (1u << (31 - bits - (uint32_t)__builtin_clz(size))) - 1, bits);
}

// Returns the first list that has a range and whose ranges are all at least that long; NONE if there is none.
static inline int32_t find_list(const Lists *in, uint32_t size, uint32_t bits) {
  uint32_t least = first_list_for(size, bits), group = least >> bits;
  uint32_t lists = in->lists[group] & ~0u << (least & ((1u << bits) - 1));
  if (!lists) {
    uint32_t classes = in->classes & ~1u << group;
    if (!classes) return NONE;
    group = lowest_bit(classes);
    lists = in->lists[group];
  }
  return (int32_t)(group << bits | lowest_bit(lists));
}

// Notes the new first node of a list, or NONE.
static inline void set_head(Lists *in, uint32_t list, int32_t node, uint32_t bits) {
  uint32_t group = list >> bits, bit = 1u << (list & ((1u << bits) - 1));
  in->heads[list] = node;
  if (node != NONE) {
    in->lists[group] |= bit;
    in->classes |= 1u << group;
    return;
  }
  in->lists[group] &= ~bit;
  if (!in->lists[group]) in->classes &= ~(1u << group);
}

static Lists lists;

static void clear_lists(void) {
  memset(&lists, 0, sizeof lists);
  memset(lists.heads, 0xff, sizeof lists.heads);
}

// Where a node is in its list. Each node begins with it. `node_size` is what a node of `nodes` takes.
typedef struct {
  int32_t prev, next;
} Links;

static inline Links *links_of(void *nodes, size_t node_size, int32_t node) {
  return (Links *)((char *)nodes + (size_t)node * node_size);
}

// Puts a node first into a list.
static inline void put_first(void *nodes, size_t node_size, int32_t node, uint32_t list, uint32_t bits) {
  int32_t next = lists.heads[list];
  *links_of(nodes, node_size, node) = (Links){NONE, next};
  if (next != NONE) links_of(nodes, node_size, next)->prev = node;
  set_head(&lists, list, node, bits);
}

static inline void leave_list(void *nodes, size_t node_size, int32_t node, uint32_t list, uint32_t bits) {
  Links links = *links_of(nodes, node_size, node);
  if (links.next != NONE) links_of(nodes, node_size, links.next)->prev = links.prev;
  if (links.prev != NONE) links_of(nodes, node_size, links.prev)->next = links.next;
  else set_head(&lists, list, links.next, bits);
}

// ---- two-level bins ----

#define BINS_BITS 3

// A range, free or in use. A node without a range has only `links.next`.
typedef struct {
  Links links;
  uint32_t offset, size;
  int32_t left, right;
} Range;

static Range *ranges;
static int32_t spare, nranges;

static int32_t bins_node(void) {
  if (spare == NONE) return nranges++;
  int32_t node = spare;
  spare = ranges[node].links.next;
  return node;
}

static void bins_put(int32_t node, Range range) {
  ranges[node] = range;
  put_first(ranges, sizeof *ranges, node, list_of(range.size, BINS_BITS), BINS_BITS);
}

// Takes a free range out of its list, and its node from it.
static void bins_forget(int32_t node) {
  leave_list(ranges, sizeof *ranges, node, list_of(ranges[node].size, BINS_BITS), BINS_BITS);
  ranges[node].links.next = spare;
  spare = node;
}

// There are nodes enough for `blocks` blocks, and for the free ranges between them.
static void bins_new(uint32_t size, uint32_t blocks) {
  clear_lists();
  ranges = malloc((2 * (size_t)blocks + 1) * sizeof *ranges);
  spare = NONE;
  nranges = 0;
  bins_put(bins_node(), (Range){.offset = 0, .size = size, .left = NONE, .right = NONE});
}

static int32_t bins_alloc(uint32_t size) {
  int32_t list = find_list(&lists, size, BINS_BITS);
  if (list == NONE) return NONE;
  int32_t node = lists.heads[list];
  leave_list(ranges, sizeof *ranges, node, (uint32_t)list, BINS_BITS);
  Range *range = &ranges[node];
  range->links.prev = IN_USE;
  uint32_t rest = range->size - size;
  if (rest) {
    int32_t above = bins_node(), right = range->right;
    range->size = size;
    range->right = above;
    if (right != NONE) ranges[right].left = above;
    bins_put(above, (Range){.offset = range->offset + size, .size = rest, .left = node, .right = right});
  }
  return node;
}

static void bins_free(int32_t node) {
  Range range = ranges[node];
  if (range.links.prev != IN_USE) abort();
  int32_t left = range.left, right = range.right;
  if (left != NONE && ranges[left].links.prev != IN_USE) {
    range.offset = ranges[left].offset;
    range.size += ranges[left].size;
    range.left = ranges[left].left;
    if (range.left != NONE) ranges[range.left].right = node;
    bins_forget(left);
  }
  if (right != NONE && ranges[right].links.prev != IN_USE) {
    range.size += ranges[right].size;
    range.right = ranges[right].right;
    if (range.right != NONE) ranges[range.right].left = node;
    bins_forget(right);
  }
  bins_put(node, range);
}

static uint32_t bins_page(int32_t node) { return ranges[node].offset; }

// ---- TLSF ----

#define TLSF_BITS 5

// A block, free or in use. Its place is its address. `below` is the block that ends where this one begins.
typedef struct {
  Links links;
  uint32_t size;
  int32_t below;
} Block;

static Block *blocks;
static int32_t end;

static void tlsf_note_below(int32_t block, int32_t below) {
  if (block < end) blocks[block].below = below;
}

static void tlsf_put(int32_t block, uint32_t size, int32_t below) {
  blocks[block].size = size;
  blocks[block].below = below;
  put_first(blocks, sizeof *blocks, block, list_of(size, TLSF_BITS), TLSF_BITS);
}

// Takes a free block out of its list, as it merges with a neighbour. Returns its size.
static uint32_t tlsf_merge(int32_t block) {
  uint32_t size = blocks[block].size;
  leave_list(blocks, sizeof *blocks, block, list_of(size, TLSF_BITS), TLSF_BITS);
  return size;
}

static void tlsf_new(uint32_t size) {
  clear_lists();
  blocks = calloc(size, sizeof *blocks);
  end = (int32_t)size;
  tlsf_put(0, size, NONE);
}

static int32_t tlsf_alloc(uint32_t size) {
  int32_t list = find_list(&lists, size, TLSF_BITS);
  if (list == NONE) return NONE;
  int32_t block = lists.heads[list];
  uint32_t whole = blocks[block].size;
  leave_list(blocks, sizeof *blocks, block, (uint32_t)list, TLSF_BITS);
  blocks[block].size = size;
  blocks[block].links.prev = IN_USE;
  if (whole > size) {
    tlsf_note_below(block + (int32_t)whole, block + (int32_t)size);
    tlsf_put(block + (int32_t)size, whole - size, block);
  }
  return block;
}

static void tlsf_free(int32_t block) {
  if (blocks[block].links.prev != IN_USE) abort();
  uint32_t size = blocks[block].size;
  int32_t first = block, below = blocks[block].below, above = block + (int32_t)size;
  if (above < end && blocks[above].links.prev != IN_USE) size += tlsf_merge(above);
  if (below != NONE && blocks[below].links.prev != IN_USE) {
    size += tlsf_merge(below);
    blocks[block].links.prev = NONE;
    first = below;
    below = blocks[below].below;
  }
  tlsf_note_below(first + (int32_t)size, first);
  tlsf_put(first, size, below);
}

// ---- the command ----

static uint32_t *input, *victims, npages, nvictims;
static int32_t *held;

// alloc, then free of a random block, over and over. Each run goes on where the one before ended. `page` is the address
// of a block.
#define SUSTAINED(name, alloc, release, page)             \
  static double name(uint32_t operations) {               \
    static uint32_t turn;                                 \
    uint64_t sum = 0;                                     \
    for (uint32_t i = 0; i < operations; i++) {           \
      int32_t block = alloc(npages);                      \
      uint32_t victim = victims[turn++ & (nvictims - 1)]; \
      release(held[victim]);                              \
      held[victim] = block;                               \
      sum += page;                                        \
    }                                                     \
    return (double)sum;                                   \
  }

SUSTAINED(run_bins, bins_alloc, bins_free, bins_page(block))
SUSTAINED(run_tlsf, tlsf_alloc, tlsf_free, (uint32_t)block)

// The input starts with five counts: chunks of 512 pages, pages per block (npages), free blocks, live blocks and
// victims. The free blocks, the live blocks and the victims follow.
static uint32_t read_blocks(void) {
  size_t nbytes;
  input = read_input(&nbytes);
  npages = input[1];
  nvictims = input[4];
  victims = input + 5 + input[2] + input[3];
  return input[0] * 512;
}

// Allocates all blocks, and then frees the free ones. The live ones are held.
static void fill(int32_t (*alloc)(uint32_t), void (*release)(int32_t), uint32_t count) {
  int32_t *all = malloc(count * sizeof *all);
  for (uint32_t i = 0; i < count; i++) all[i] = alloc(npages);
  uint32_t nfree = input[2], nlive = input[3], *listed = input + 5;
  for (uint32_t i = 0; i < nfree; i++) release(all[listed[i]]);
  held = malloc(nlive * sizeof *held);
  for (uint32_t i = 0; i < nlive; i++) held[i] = all[listed[nfree + i]];
  free(all);
}

int main(int argc, char **argv) {
  if (argc < 6) return unknown("too few arguments");
  Case c = {.most = 1u << 30, .least = (uint32_t)atoi(argv[4]), .check = (uint32_t)atoi(argv[5])};
  uint32_t size = read_blocks(), count = size / npages;
  if (!strcmp(argv[3], "bins")) {
    bins_new(size, count);
    fill(bins_alloc, bins_free, count);
    c.run = run_bins;
  } else if (!strcmp(argv[3], "tlsf")) {
    tlsf_new(size);
    fill(tlsf_alloc, tlsf_free, count);
    c.run = run_tlsf;
  } else return unknown(argv[3]);
  measure(&c, atof(argv[1]) * 1e6, (size_t)atoi(argv[2]));
  return 0;
}
