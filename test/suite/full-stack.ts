// A call may find the stack nearly full, and overflow it anywhere within. Then it throws, and has changed nothing; the
// heap is sound, and no page is lost. A free may have been done.
import { Arena } from "palloc/arena";
import { describe, expect, it } from "vitest";
import { CHUNK, PAGE, visible } from "../support/heaps.ts";
import { Random } from "../support/random.ts";
import type { PageAlloc, PageCache, Palloc } from "../support/subject.ts";

/** How many calls must have overflowed the stack. */
const THROWS = 1000;

/** Frames that `atDepth` had yet to make when it last made one. */
let left = 0;

/** Makes a call with so many frames below it. */
function atDepth(frames: number, call: () => void): void {
  left = frames;
  if (frames > 0) atDepth(frames - 1, call);
  else call();
}

/** How many frames of `atDepth` fill the stack. */
function depth(): number {
  const many = 10 ** 8;
  try {
    atDepth(many, () => {});
  } catch {
    // It is full.
  }
  return many - left;
}

/** What a test keeps of a heap beside it: what is allocated, and its page caches. */
interface World {
  readonly heap: PageAlloc;
  readonly live: Array<[base: number, npages: number]>;
  readonly caches: PageCache[];
  next: number;
  /** The cache that the latest call has made. */
  made?: PageCache;
}

/** A place for what an allocation gives, made while there is stack. */
function reserve(live: World["live"], npages: number): [base: number, npages: number] {
  const entry: [number, number] = [-1, npages];
  live.push(entry);
  return entry;
}

/** Takes note of what a call has given. */
function settle(world: World): void {
  for (let i = world.live.length; i-- > 0; ) if (world.live[i][0] < 0) world.live.splice(i, 1);
  if (world.made) world.caches.push(world.made);
  world.made = undefined;
}

type Act = (world: World, random: Random) => () => void;

const ACTS: Record<string, Act> = {
  alloc: ({ heap, live }, random) => {
    const entry = reserve(live, random.pick([1, 1, 3, 70, 600, 1200]));
    return () => {
      entry[0] = heap.alloc(entry[1]);
    };
  },
  free: ({ heap, live }, random) => {
    if (!live.length) return () => {};
    const at = random.below(live.length);
    const [base, npages] = live[at];
    return () => {
      heap.free(base, npages);
      live[at] = live[live.length - 1];
      live.length--;
    };
  },
  allocRange: ({ heap, live }, random) => {
    const base = random.below(3000) * PAGE;
    const entry = reserve(live, 5);
    return () => {
      heap.allocRange(base, 5);
      entry[0] = base;
    };
  },
  grow: (world, random) => {
    const { heap } = world;
    const nbytes = random.between(1, 1500) * PAGE;
    const next = world.next + nbytes + CHUNK * 9;
    return () => {
      heap.grow(world.next, nbytes);
      world.next = next;
    };
  },
  unmap: ({ heap }, random) => {
    const { base, nbytes } = random.pick([...heap.freeRuns(), { base: 0, nbytes: PAGE }]);
    const skipped = random.below(nbytes / PAGE);
    const npages = random.between(1, nbytes / PAGE - skipped);
    return () => void heap.unmap(base + skipped * PAGE, npages * PAGE);
  },
  allocAligned: ({ heap, live }, random) => {
    const entry = reserve(live, random.pick([1, 3, 70]));
    const align = random.pick([2, 64, 1024]);
    return () => {
      entry[0] = heap.alloc(entry[1], { align });
    };
  },
  scavengeOne: ({ heap }, random) => {
    const nbytes = random.below(900) * PAGE;
    return () => void heap.scavengeOne(nbytes);
  },
  scavengeRange: ({ heap }, random) => {
    const base = random.below(3000) * PAGE;
    return () => void heap.scavengeRange(base, 700);
  },
  reset: ({ heap }) => {
    return () => heap.resetScavengeAddr();
  },
  allocToCache: (world) => {
    return () => {
      world.made = world.heap.allocToCache();
    };
  },
  cacheAlloc: ({ caches, live }, random) => {
    if (!caches.length) return () => {};
    const cache = random.pick(caches);
    const entry = reserve(live, random.pick([1, 2, 40]));
    return () => {
      entry[0] = cache.alloc(entry[1]);
    };
  },
  refill: ({ caches }, random) => {
    if (!caches.length) return () => {};
    const cache = random.pick(caches);
    return () => void cache.refill();
  },
  flush: ({ caches }, random) => {
    if (!caches.length) return () => {};
    const at = random.below(caches.length);
    const cache = caches[at];
    return () => {
      cache.flush();
      caches[at] = caches[caches.length - 1];
      caches.length--;
    };
  },
  run: ({ heap, live }, random) => {
    const npages = random.pick([1, 3, 70]);
    const ops = Float64Array.of(0, npages, -1, 0, 0, 2, -1, 0, 0, 1, -1, 0);
    const results = new Float64Array(6).fill(-1);
    const entries = [npages, 2, 1].map((count) => reserve(live, count));
    return () => {
      try {
        heap.run(ops, results);
      } finally {
        // Those before the one that threw stand.
        for (let i = 0; i < 3; i++) entries[i][0] = results[2 * i];
      }
    };
  },
};

/** Pages in use by heap and caches, by what the test keeps. */
function pagesOf({ live, caches }: World): number {
  const cached = caches.reduce(
    (sum, { cache }) => sum + [...cache.toString(2)].filter((bit) => bit === "1").length,
    0,
  );
  return live.reduce((sum, [, npages]) => sum + npages, cached);
}

function hooks(random: Random) {
  return { unused: () => random.oneIn(3) !== true, used: () => {} };
}

/** Makes a call on an arena, whose blocks have these offsets, and says what it may have done when it throws. */
function arenaCall(
  arena: Arena,
  offsets: readonly number[],
  random: Random,
): { run: () => void; may: { allocate?: true; free?: true } } {
  const offset = offsets.length ? random.pick(offsets) : -1;
  const nbytes = random.between(1, 5000);
  const align = { align: 2 ** random.between(8, 12) };
  switch (offset < 0 ? 0 : random.below(4)) {
    case 0:
      return { run: () => void arena.alloc(nbytes), may: {} };
    case 1:
      return { run: () => void arena.alloc(nbytes, align), may: {} };
    case 2:
      return { run: () => arena.free(offset), may: { free: true } };
    default:
      return { run: () => void arena.realloc(offset, nbytes), may: { allocate: true, free: true } };
  }
}

/** Each block of an arena, and that its pages and counts are those of its blocks. */
function blocksOf(arena: Arena): { offset: number; nbytes: number }[] {
  arena.heap.check();
  const blocks = [...arena.blocks()];
  const bytes = blocks.reduce((sum, { offset }) => sum + arena.usableSize(offset), 0);
  const { inUse, blocks: count } = arena.stats();
  if (inUse !== bytes || count !== blocks.length) throw new Error(`${inUse - bytes} bytes are lost`);
  return blocks;
}

/** The suite over the heaps of an entry, shared ones among them if it has any. */
export function fullStackSuite(label: string, { PageAlloc }: Palloc, shared: boolean): void {
  const kinds: [name: string, shared: boolean, hooked: boolean][] = [
    ["a plain heap", false, false],
    ["a plain heap with hooks", false, true],
  ];
  if (shared) kinds.push(["a shared heap", true, false], ["a shared heap with hooks", true, true]);

  describe(`a call that overflows the stack (${label})`, () => {
    it.each(kinds)("happens completely or not at all on %s", (_, shared, hooked) => {
      const random = new Random(7);
      const heap = new PageAlloc({ shared, sys: hooked ? hooks(random) : undefined });
      const world: World = { heap, live: [], caches: [], next: 0 };
      ACTS.grow(world, random)();
      settle(world);
      let full = depth();
      let throws = 0;
      const names = Object.keys(ACTS);
      const damage: string[] = [];
      for (let turn = 0; throws < THROWS && turn < 200_000; turn++) {
        if (turn % 20 === 0) full = depth();
        const name = turn % 40 === 0 && world.next < 150 * CHUNK ? "grow" : random.pick(names);
        const call = ACTS[name](world, random);
        const before = visible(heap);
        try {
          atDepth(Math.max(0, full - random.below(random.pick([9, 20, 40, 90]))), call);
          settle(world);
        } catch (error) {
          settle(world);
          if ((error as Error).message.includes("call stack")) {
            throws++;
            const fault = faultOf(world, name, before);
            if (fault) damage.push(`${name}: ${fault}`);
          }
        }
        if (damage.length > 5) break;
      }
      expect(damage).toEqual([]);
      expect(throws).toBe(THROWS);
      heap.check();
      expect(heap.stats().inUse).toBe(pagesOf(world) * PAGE);
    });

    it.each(kinds)("happens completely or not at all in an arena on %s", (_, shared, hooked) => {
      const random = new Random(9);
      const arena = new Arena(PageAlloc, 2 ** 20, { shared, sys: hooked ? hooks(random) : undefined });
      let full = depth();
      let throws = 0;
      const damage: string[] = [];
      for (let turn = 0; throws < THROWS && turn < 200_000 && damage.length < 5; turn++) {
        if (turn % 20 === 0) full = depth();
        const before = blocksOf(arena);
        const offsets = before.map(({ offset }) => offset);
        const call = arenaCall(arena, offsets, random);
        if (turn % 50 === 0) arena.heap.resetScavengeAddr();
        if (turn % 50 === 0) arena.heap.scavenge(2 ** 18);
        try {
          atDepth(Math.max(0, full - random.below(random.pick([9, 20, 40, 90]))), call.run);
        } catch (error) {
          if (!(error as Error).message.includes("call stack")) throw error;
          throws++;
          try {
            const after = blocksOf(arena);
            const isNew = after.filter(({ offset }) => !offsets.includes(offset));
            const isGone = before.length + isNew.length - after.length;
            // A realloc that moves allocates first, so that its new block may be there beside the old one.
            const allowed = [call.may.allocate ? 1 : 0, call.may.free ? 1 : 0];
            if (isNew.length > allowed[0] || isGone > allowed[1])
              damage.push(`${call.run}: ${isNew.length}, ${isGone}`);
          } catch (fault) {
            damage.push(`${call.run}: ${fault}`);
          }
        }
      }
      expect(damage).toEqual([]);
      expect(throws).toBe(THROWS);
    });
  });
}

/** What is wrong with the heap after a call that overflowed the stack. */
function faultOf(world: World, name: string, before: ReturnType<typeof visible>): string | undefined {
  const { heap } = world;
  try {
    heap.check();
    const after = visible(heap);
    if (name === "free" || name === "flush" || name === "run") {
      const lost = heap.stats().inUse / PAGE - pagesOf(world);
      if (name === "run") return lost ? `${lost} pages are lost` : undefined;
      if (JSON.stringify(after) === JSON.stringify(before)) return undefined;
      // It has been done.
      if (name === "free")
        world.live.splice(
          world.live.findIndex(([base]) => !isInUse(heap, base)),
          1,
        );
      return heap.stats().inUse / PAGE === pagesOf(world) ? undefined : `${lost} pages are lost`;
    }
    return JSON.stringify(after) === JSON.stringify(before) ? undefined : "it has changed something";
  } catch (error) {
    return String(error);
  }
}

function isInUse(heap: PageAlloc, base: number): boolean {
  return heap.chunk(Math.floor(base / CHUNK)).alloc.get((base % CHUNK) / PAGE);
}
