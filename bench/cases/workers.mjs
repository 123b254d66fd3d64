// Heaps that workers share: what sharing costs a single one, and how two get along.

const PAGE = 8192;
const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * PAGE;
/** How many pages of each chunk are in use, one block of a page cache. */
const USED_PAGES = 64;
const ENTRIES = { ts: "ts.js", wasm: "index.js" };
/** Chunks of a heap of 64 GiB, which is scavenged. */
const SCAVENGED_CHUNKS = 16384;
/** Chunks of a heap whose pages suffice for all rounds of a case that only takes them. */
const TAKEN_CHUNKS = 262144;
/** How long workers warm up, for the compilers' sake, and are looked at, in ms. */
const WARMUP_MS = 200;
const WINDOW_MS = 30;
/** How long the slow hook of the slow system sleeps. */
const HOOK_MS = 100;
/** How many calls are timed at a time where two heaps take turns. */
const TURN = 4096;
/** How many turns the two take in a round. */
const TURNS = 40;

const about = { group: "workers", columns: Object.keys(ENTRIES) };

const middle = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const inRounds = ({ rounds }) => Array(rounds > 1 ? 15 : 1).fill();

/** A heap of that many chunks, the first pages of each in use. */
function wornHeap(PageAlloc, chunks) {
  const heap = new PageAlloc({ shared: true, physHugePageSize: 0 });
  heap.grow(0, chunks * CHUNK_BYTES);
  for (let chunk = 0; chunk < chunks; chunk++) heap.allocRange(chunk * CHUNK_BYTES, USED_PAGES);
  return heap;
}

/** Makes all that is free in a worn heap unscavenged. */
function touch(heap, chunks) {
  for (let chunk = 0; chunk < chunks; chunk++) {
    const base = chunk * CHUNK_BYTES + USED_PAGES * PAGE;
    heap.allocRange(base, CHUNK_PAGES - USED_PAGES);
    heap.free(base, CHUNK_PAGES - USED_PAGES);
  }
  heap.resetScavengeAddr();
}

/** alloc and free of one page on a heap that is plain or shared, without anybody else. */
function pairsOn(PageAlloc, shared) {
  const heap = new PageAlloc({ shared });
  heap.grow(0, 1024 * CHUNK_BYTES);
  for (let i = 0; i < 1000; i++) heap.alloc(1);
  return (operations) => {
    let sum = 0;
    for (let i = 0; i < operations; i++) {
      const base = heap.alloc(1);
      heap.free(base, 1);
      sum += base / PAGE;
    }
    return sum;
  };
}

/** One row of what a heap costs whom nobody disturbs. */
const alone = (shared) => ({
  ...about,
  name: `alloc + free, ${shared ? "a shared heap" : "a plain heap"}`,
  input: "npages 1",
  create: ({ PageAlloc }) => ({ run: pairsOn(PageAlloc, shared) }),
});

/** The two taking turns, so that the machine's moods do not count: what sharing adds to each of a pair's two calls. */
const sharing = {
  ...about,
  name: "what sharing adds to a call",
  input: "npages 1",
  value({ PageAlloc }, settings) {
    const [plain, shared] = [false, true].map((isShared) => pairsOn(PageAlloc, isShared));
    const took = (run) => {
      const start = performance.now();
      run(TURN);
      return performance.now() - start;
    };
    const more = () => took(shared) - took(plain);
    for (let turn = 0; turn < 10 * TURNS; turn++) more();
    const turns = inRounds(settings).flatMap(() => Array.from({ length: TURNS }, more));
    return (middle(turns) / TURN / 2) * 1e6;
  },
};

/**
 * A row of what two workers do, as a ratio: the middle of what `look(ask, heap)` gives over some rounds. `ask(actor, task,
 * ms)` lets one of them do a task. All of them have done their tasks before, as `warmUp` says.
 */
function ratio({ name, input, chunks, tasks, look }, { startActor }) {
  return {
    ...about,
    name,
    input,
    unit: "ratio",
    async value({ PageAlloc }, settings) {
      const heap = wornHeap(PageAlloc, chunks);
      const actors = [startActor(), startActor()];
      const ask = (actor, task, ms = WINDOW_MS) => actors[actor].ask({ task, ms });
      const attach = { entry: ENTRIES[heap.engine], handle: heap.handle };
      const found = [];
      try {
        for (const { ask } of actors) await ask({ attach });
        await Promise.all(actors.map((_, actor) => ask(actor, tasks[actor], WARMUP_MS)));
        for (const _ of inRounds(settings)) found.push(await look(ask, heap));
      } finally {
        for (const actor of actors) actor.end();
      }
      return middle(found);
    },
  };
}

/** What two actors do of a task at once, to what each does alone. */
const together = (name, input, task) => ({
  name,
  input,
  chunks: TAKEN_CHUNKS,
  tasks: [task, task],
  async look(ask) {
    const [one, other] = [await ask(0, task), await ask(1, task)];
    const both = await Promise.all([ask(0, task), ask(1, task)]);
    return (2 * (both[0] + both[1])) / (one + other);
  },
});

const RATIOS = [
  together("2 workers that spin, to the rate of 1: what the machine gives", "", "spin"),
  together("allocs from page caches in 2 workers, to the rate of 1", "npages 1", "fromCaches"),
  together("the same, and frees of what each cache had", "npages 1", "fromCachesAndFree"),
  {
    name: "alloc's p99 while another scavenges, to that without",
    input: `${SCAVENGED_CHUNKS.toLocaleString("en")} chunks`,
    chunks: SCAVENGED_CHUNKS,
    tasks: ["slowest", "scavenge"],
    async look(ask, heap) {
      touch(heap, SCAVENGED_CHUNKS);
      const calm = await ask(0, "slowest");
      const [busy] = await Promise.all([ask(0, "slowest"), ask(1, "scavenge")]);
      return busy / calm;
    },
  },
  {
    name: "alloc + free while another's hook sleeps, to the rate without",
    input: `${HOOK_MS} ms`,
    chunks: SCAVENGED_CHUNKS,
    tasks: ["pairs", "pairs"],
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
