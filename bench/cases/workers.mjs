// Heaps that workers share: what sharing costs a single one, and how two get along.

const PAGE = 8192;
const CHUNK_BYTES = 512 * PAGE;
const CHUNKS = 16384;
const ENTRIES = { ts: "ts.js", wasm: "index.js" };
/** How long workers are looked at, and how often: the middle ratio counts. */
const WINDOW_MS = 150;
const ROUNDS = 5;
/** The same where pages are only taken, so that those of the heap suffice. */
const CACHES_MS = 15;
/** How long they do it before, for the compilers' sake. */
const WARMUP_MS = 10;
/** How long the slow hook of the slow system sleeps. */
const HOOK_MS = 100;

const about = { group: "workers", columns: Object.keys(ENTRIES) };

/** alloc and free of one page on a heap that is plain or shared, without anybody else. */
const alone = (shared) => ({
  ...about,
  name: `alloc + free, ${shared ? "a shared heap" : "a plain heap"}`,
  input: "npages 1",
  create: ({ PageAlloc }) => {
    const heap = new PageAlloc({ shared });
    heap.grow(0, 1024 * CHUNK_BYTES);
    for (let i = 0; i < 1000; i++) heap.alloc(1);
    return {
      run(operations) {
        let sum = 0;
        for (let i = 0; i < operations; i++) {
          const base = heap.alloc(1);
          heap.free(base, 1);
          sum += base / PAGE;
        }
        return sum;
      },
    };
  },
});

/** A heap of 64 GiB, most of each chunk free and unscavenged. */
function wornHeap(PageAlloc) {
  const heap = new PageAlloc({ shared: true, physHugePageSize: 0 });
  heap.grow(0, CHUNKS * CHUNK_BYTES);
  heap.allocRange(0, CHUNKS * 512);
  for (let chunk = 0; chunk < CHUNKS; chunk++) heap.free(chunk * CHUNK_BYTES + 64 * PAGE, 448);
  heap.resetScavengeAddr();
  return heap;
}

/** The middle of what `look` gives, over some rounds, each on a heap and with two actors of its own. */
async function middle({ startActor }, column, look) {
  const found = [];
  for (let round = 0; round < ROUNDS; round++) {
    const heap = wornHeap(column.PageAlloc);
    const actors = [startActor(), startActor()];
    const attach = { entry: ENTRIES[heap.engine], handle: heap.handle };
    try {
      for (const { ask } of actors) await ask({ attach });
      found.push(await look((actor, task, ms) => actors[actor].ask({ task, ms })));
    } finally {
      for (const actor of actors) actor.end();
    }
  }
  return found.sort((a, b) => a - b)[ROUNDS >> 1];
}

/** What two actors do of a task, to what one of them does before. */
async function together(ask, task, ms) {
  for (const actor of [0, 1]) await ask(actor, task, WARMUP_MS);
  const one = await ask(0, task, ms);
  const two = await Promise.all([ask(0, task, ms), ask(1, task, ms)]);
  return (two[0] + two[1]) / one;
}

/** Ratios of what workers do together to what one of them does alone. */
const RATIOS = [
  {
    name: "allocs from page caches in 2 workers, to the rate of 1",
    input: "npages 1",
    look: (ask) => together(ask, "fromCaches", CACHES_MS),
  },
  {
    name: "the same, and frees of what each cache had",
    input: "npages 1",
    look: (ask) => together(ask, "fromCachesAndFree", WINDOW_MS),
  },
  {
    name: "alloc's p99 while another scavenges, to that without",
    input: `${CHUNKS.toLocaleString("en")} chunks`,
    async look(ask) {
      await Promise.all([ask(0, "slowest", WARMUP_MS), ask(1, "scavenge", WARMUP_MS)]);
      const calm = await ask(0, "slowest", WINDOW_MS);
      const [busy] = await Promise.all([ask(0, "slowest", WINDOW_MS), ask(1, "scavenge", WINDOW_MS)]);
      return busy / calm;
    },
  },
  {
    name: "alloc + free while another's hook sleeps, to the rate without",
    input: `${HOOK_MS} ms`,
    async look(ask) {
      await ask(0, "pairs", WARMUP_MS);
      const usual = await ask(0, "pairs", HOOK_MS);
      const [meanwhile] = await Promise.all([ask(0, "pairs", HOOK_MS), ask(1, "sleepInHook", HOOK_MS)]);
      return meanwhile / usual;
    },
  },
];

/** The cases on shared heaps. */
export function workerCases(environment) {
  return [
    alone(false),
    alone(true),
    ...RATIOS.map(({ name, input, look }) => ({
      ...about,
      name,
      input,
      unit: "ratio",
      value: (column) => middle(environment, column, look),
    })),
  ];
}
