// Heaps that workers share: what sharing costs one worker, and how much two workers slow each other down.
import { middle } from "../middle.mjs";
import { pairsOn } from "./heap.mjs";

const PAGE = 8192;
const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE;
const ENTRIES = { ts: "ts-shared.js", wasm: "shared.js" };
/** How many pages at the start of each chunk are in use. They keep free runs from spanning two chunks. */
const USED_PAGES = 64;
/** Chunks of the heap that is scavenged: 64 GiB. */
const SCAVENGED_CHUNKS = 16384;
/** Chunks of a heap that is large enough for all looks at a case that never frees. */
const TAKEN_CHUNKS = 262144;
/** How long workers warm up, so that their code gets compiled, and how long a look takes, in ms. */
const WARMUP_MS = 200;
const WINDOW_MS = 30;
/** How long the hook sleeps, in ms. */
const HOOK_MS = 100;
/** When two heaps take turns: how many pairs of calls a turn has, and how many turns a look has. */
const TURN = 4096;
const TURNS = 40;

const about = { group: "workers", columns: Object.keys(ENTRIES) };

/** Returns how many looks a case gets: one in a quick run. */
const looksOf = ({ rounds }) => (rounds > 1 ? 15 : 1);

/** Returns a shared heap of so many chunks, with the first pages of each in use. */
function heapOf(PageAlloc, chunks) {
  const heap = new PageAlloc({ shared: true, physHugePageSize: 0 });
  heap.grow(0, chunks * CHUNK_BYTES);
  for (let chunk = 0; chunk < chunks; chunk++) heap.allocRange(chunk * CHUNK_BYTES, USED_PAGES);
  return heap;
}

/** Makes all free pages of such a heap unscavenged. */
function touch(heap, chunks) {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const base = chunk * CHUNK_BYTES + USED_PAGES * PAGE;
    heap.allocRange(base, CHUNK_PAGES - USED_PAGES);
    heap.free(base, CHUNK_PAGES - USED_PAGES);
  }
  heap.resetScavengeAddr();
}

/** Returns a function that makes pairs of calls on a heap, plain or shared. */
function pairs(PageAlloc, shared) {
  const heap = new PageAlloc({ shared });
  heap.grow(0, 1024 * CHUNK_BYTES);
  for (let i = 0; i < 1000; i++) heap.alloc(1);
  return pairsOn(heap, 1);
}

/** Returns a row: pairs of calls on a heap that no other worker uses. */
const alone = (shared) => ({
  ...about,
  name: `alloc + free, ${shared ? "a shared heap" : "a plain heap"}`,
  input: "npages 1",
  create: ({ sharing }) => ({ run: pairs(sharing.PageAlloc, shared) }),
});

/**
 * Returns what sharing adds to one call, in ns. The two heaps take turns, so that a slower moment of the machine hits
 * both. Each pair is two calls.
 */
const sharing = {
  ...about,
  name: "what sharing adds to a call",
  input: "npages 1",
  // It is a difference, which --compare must not take for a time.
  unit: "ns more",
  value({ sharing }, settings) {
    const [plain, shared] = [false, true].map((isShared) => pairs(sharing.PageAlloc, isShared));
    const took = (run) => {
      const start = performance.now();
      run(TURN);
      return performance.now() - start;
    };
    const more = () => took(shared) - took(plain);
    // So that the code gets compiled.
    for (let turn = 0; turn < 10 * TURNS; turn++) more();
    const turns = Array.from({ length: looksOf(settings) * TURNS }, more);
    return (middle(turns) / TURN / 2) * 1e6;
  },
};

/**
 * Returns a row about two workers. Its value is a ratio, the median of what `look(ask, heap)` gives.
 * `ask(actor, task, ms)` has actor 0 or 1 do a task, and gives the task's result. `warmUp` names the task that each
 * actor does before the first look.
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
 * Returns the rate of two actors together, divided by the mean rate of each alone. It is 2 if neither slows down the
 * other.
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

/** Returns the cases on shared heaps. */
export function workerCases(environment) {
  return [alone(false), alone(true), sharing, ...RATIOS.map((each) => ratio(each, environment))];
}
