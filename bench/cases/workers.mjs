// Heaps that workers share: what sharing costs a single one, and how two get along.
import { middle } from "../middle.mjs";
import { pairsOn } from "./heap.mjs";

const PAGE = 8192;
const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE;
const ENTRIES = { ts: "ts-shared.js", wasm: "shared.js" };
/** How many pages at the start of each chunk are in use, so that no free run goes on from one to the next. */
const USED_PAGES = 64;
/** Chunks of a heap of 64 GiB, which is scavenged. */
const SCAVENGED_CHUNKS = 16384;
/** Chunks of a heap whose pages suffice for all looks at a case that only takes them. */
const TAKEN_CHUNKS = 262144;
/** How long workers warm up, for the compilers' sake, and are looked at, in ms. */
const WARMUP_MS = 200;
const WINDOW_MS = 30;
/** How long the hook sleeps, in ms. */
const HOOK_MS = 100;
/** Where two heaps take turns: how many pairs of calls a turn has, and how many turns each look. */
const TURN = 4096;
const TURNS = 40;

const about = { group: "workers", columns: Object.keys(ENTRIES) };

/** How often a case is looked at: once in a quick run. */
const looksOf = ({ rounds }) => (rounds > 1 ? 15 : 1);

/** A shared heap of that many chunks, the first pages of each in use. */
function heapOf(PageAlloc, chunks) {
  const heap = new PageAlloc({ shared: true, physHugePageSize: 0 });
  heap.grow(0, chunks * CHUNK_BYTES);
  for (let chunk = 0; chunk < chunks; chunk++) heap.allocRange(chunk * CHUNK_BYTES, USED_PAGES);
  return heap;
}

/** Makes all that is free in such a heap unscavenged. */
function touch(heap, chunks) {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const base = chunk * CHUNK_BYTES + USED_PAGES * PAGE;
    heap.allocRange(base, CHUNK_PAGES - USED_PAGES);
    heap.free(base, CHUNK_PAGES - USED_PAGES);
  }
  heap.resetScavengeAddr();
}

/** Pairs of calls on a heap that is plain or shared. */
function pairs(PageAlloc, shared) {
  const heap = new PageAlloc({ shared });
  heap.grow(0, 1024 * CHUNK_BYTES);
  for (let i = 0; i < 1000; i++) heap.alloc(1);
  return pairsOn(heap, 1);
}

/** A row: pairs of calls on a heap that nobody else uses. */
const alone = (shared) => ({
  ...about,
  name: `alloc + free, ${shared ? "a shared heap" : "a plain heap"}`,
  input: "npages 1",
  create: ({ sharing }) => ({ run: pairs(sharing.PageAlloc, shared) }),
});

/**
 * What sharing adds to one call, in ns. The two heaps take turns, so that the machine's moods do not count; each pair
 * is two calls.
 */
const sharing = {
  ...about,
  name: "what sharing adds to a call",
  input: "npages 1",
  // A difference: no time that two runs could be compared by.
  unit: "ns more",
  value({ sharing }, settings) {
    const [plain, shared] = [false, true].map((isShared) => pairs(sharing.PageAlloc, isShared));
    const took = (run) => {
      const start = performance.now();
      run(TURN);
      return performance.now() - start;
    };
    const more = () => took(shared) - took(plain);
    // For the compilers' sake.
    for (let turn = 0; turn < 10 * TURNS; turn++) more();
    const turns = Array.from({ length: looksOf(settings) * TURNS }, more);
    return (middle(turns) / TURN / 2) * 1e6;
  },
};

/**
 * A row of what two workers do, as a ratio: the middle of what `look(ask, heap)` gives. `ask(actor, task, ms)` lets
 * actor 0 or 1 do a task, and gives what that gives. Before the first look each does the task that `warmUp` names for
 * it.
 */
function ratio({ name, input, chunks, warmUp, look }, { startActor }) {
  return {
    ...about,
    name,
    input,
    unit: "ratio",
    async value({ sharing }, settings) {
      const heap = heapOf(sharing.PageAlloc, chunks);
      const actors = [startActor(), startActor()];
      const ask = (actor, task, ms = WINDOW_MS) => actors[actor].ask({ task, ms });
      const attach = { entry: ENTRIES[heap.engine], handle: heap.handle };
      const found = [];
      try {
        for (const actor of actors) await actor.ask({ attach });
        await Promise.all(warmUp.map((task, actor) => ask(actor, task, WARMUP_MS)));
        while (found.length < looksOf(settings)) found.push(await look(ask, heap));
      } finally {
        for (const actor of actors) actor.end();
      }
      return middle(found);
    },
  };
}

/**
 * The rate of two actors at once to that of one, the mean of what each does alone: 2 where neither costs the other
 * anything.
 */
const together = (name, input, chunks, task) => ({
  name,
  input,
  chunks,
  warmUp: [task, task],
  async look(ask) {
    const [one, other] = [await ask(0, task), await ask(1, task)];
    const both = await Promise.all([ask(0, task), ask(1, task)]);
    return (2 * (both[0] + both[1])) / (one + other);
  },
});

const RATIOS = [
  together("spinning in 2 workers, to the rate of 1 (what the machine gives)", "", 1, "spin"),
  together("allocs from page caches in 2 workers, to the rate of 1", "npages 1", TAKEN_CHUNKS, "fromCaches"),
  together(
    "allocs from page caches, and frees of what each had, in 2 workers, to the rate of 1",
    "npages 1",
    TAKEN_CHUNKS,
    "fromCachesAndFree",
  ),
  {
    name: "alloc's p99 while another scavenges, to that without",
    input: `${SCAVENGED_CHUNKS.toLocaleString("en")} chunks`,
    chunks: SCAVENGED_CHUNKS,
    warmUp: ["p99OfAlloc", "scavenge"],
    async look(ask, heap) {
      touch(heap, SCAVENGED_CHUNKS);
      const calm = await ask(0, "p99OfAlloc");
      const [busy] = await Promise.all([ask(0, "p99OfAlloc"), ask(1, "scavenge")]);
      return busy / calm;
    },
  },
  {
    name: "alloc + free while another's hook sleeps, to the rate without",
    input: `${HOOK_MS} ms`,
    chunks: SCAVENGED_CHUNKS,
    warmUp: ["pairs"],
    async look(ask, heap) {
      touch(heap, SCAVENGED_CHUNKS);
      const usual = await ask(0, "pairs", HOOK_MS);
      const [meanwhile] = await Promise.all([ask(0, "pairs", HOOK_MS), ask(1, "sleepInHook", HOOK_MS)]);
      return meanwhile / usual;
    },
  },
];

/** The cases on shared heaps. */
export function workerCases(environment) {
  return [alone(false), alone(true), sharing, ...RATIOS.map((each) => ratio(each, environment))];
}
