// Other allocators in the steady state: the same blocks as those of the heap, live and freed. A row's name has what the
// peer does not do. All of them merge free neighbours.
import { blocksOf, CHECKED, CHUNK_PAGES, CHUNKS, inputOf, NPAGES, nativeOf, PAIRS } from "./steady.mjs";

/** Sizes for @thi.ng/malloc. With smaller ones it walks so many blocks that making the free ones takes minutes. */
const NPAGES_POOL = [16, 64, 512];
/** Pairs of a timed run of it, and those before the first. A pair takes up to a millisecond. */
const PAIRS_POOL = 1000;
const CHECKED_POOL = 10_000;

/** alloc(n), then free of a random block. `peer` is the name in bench/peers/index.mjs. */
const sustained = (peer, title, pairs) => (n) => ({
  group: "steady state",
  name: `alloc + free, sustained: ${title}`,
  input: inputOf(n),
  columns: ["peer"],
  create: ({ PEERS }) => {
    const { free, live, victims } = blocksOf(n);
    const count = (CHUNKS * CHUNK_PAGES) / n;
    const { make, pairsOn } = PEERS[peer];
    const allocator = make(count * n, count);
    const all = Int32Array.from({ length: count }, () => allocator.alloc(n));
    for (const block of free) allocator.free(all[block]);
    const held = Int32Array.from(live, (block) => all[block]);
    return { ...pairs, run: pairsOn(allocator, n, held, victims) };
  },
});

/** The same, with a C program of its own. */
const inBoth = (peer, title) => (n) => ({
  ...sustained(peer, title, { least: PAIRS, check: CHECKED })(n),
  native: { ...nativeOf(peer, n), program: "peers" },
});

const pool = sustained("pool", "@thi.ng/malloc (no release)", { least: PAIRS_POOL, check: CHECKED_POOL });

/** Returns the cases of the peers. */
export const peerCases = () => [
  ...NPAGES.map(inBoth("bins", "two-level bins (no first fit by address, no release)")),
  ...NPAGES.map(inBoth("tlsf", "TLSF (no first fit by address, no release)")),
  ...NPAGES_POOL.map(pool),
];
