// One of several workers that use a shared heap at once. On a request `{ attach: { entry, handle } }` it attaches to
// the heap, with that entry of the package. On `{ task, ms }` it does the task for so many ms, and answers with the
// result of the task.

const PAGE = 8192;
const CACHE_PAGES = 64;

/** Computes without touching memory. Returns the rounds per ms. */
function spin({ ms }) {
  let rounds = 0;
  let sum = 0;
  const start = performance.now();
  while (performance.now() < start + ms) {
    for (let round = 0; round < 10_000; round++, rounds++) sum = (Math.imul(sum, 31) + round) | 0;
  }
  // The sum is used, so that no compiler leaves the loop out.
  return (rounds + (sum & 1)) / (performance.now() - start);
}

/** Uses up one page cache after another. `useUp(cache)` must leave the cache empty. Returns the pages per ms. */
function rateOf({ heap, ms }, useUp) {
  const cache = heap.allocToCache();
  let pages = 0;
  const start = performance.now();
  while (performance.now() < start + ms) {
    for (let round = 0; round < 20; round++, pages += CACHE_PAGES) {
      useUp(cache);
      if (!cache.refill()) throw new Error("the heap is used up: the window is too long for it");
    }
  }
  const took = performance.now() - start;
  cache.flush();
  return pages / took;
}

/** Allocates page by page from page caches. */
function fromCaches(given) {
  return rateOf(given, (cache) => {
    while (!cache.empty) cache.alloc(1);
  });
}

/** The same, but frees the pages of each cache right after it is used up. */
function fromCachesAndFree(given) {
  return rateOf(given, (cache) => {
    const { base } = cache;
    while (!cache.empty) cache.alloc(1);
    given.heap.free(base, CACHE_PAGES);
  });
}

/** Allocates and frees. Returns the allocations per ms. */
function pairs({ heap, ms }) {
  let allocs = 0;
  const start = performance.now();
  while (performance.now() < start + ms) {
    for (let round = 0; round < 500; round++, allocs++) heap.free(heap.alloc(1), 1);
  }
  return allocs / (performance.now() - start);
}

/** Allocates and frees, and times each alloc by itself. Returns their p99 in ns, which includes reading the clock. */
function p99OfAlloc({ heap, ms }) {
  const times = [];
  const start = performance.now();
  for (let end = start; end < start + ms; ) {
    const before = performance.now();
    const base = heap.alloc(1);
    end = performance.now();
    times.push(end - before);
    heap.free(base, 1);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] * 1e6;
}

/** Scavenges page by page. Starts again at the top when nothing is left. Returns the pages per ms. */
function scavenge({ heap, ms }) {
  let pages = 0;
  const start = performance.now();
  while (performance.now() < start + ms) {
    for (let round = 0; round < 100; round++, pages++) if (!heap.scavengeOne(PAGE)) heap.resetScavengeAddr();
  }
  return pages / (performance.now() - start);
}

/** Scavenges one run with a hook that sleeps all the while. */
function sleepInHook({ PageAlloc, handle, ms }) {
  const unused = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return PageAlloc.attach(handle, { sys: { unused } }).scavengeOne();
}

const TASKS = { spin, fromCaches, fromCachesAndFree, pairs, p99OfAlloc, scavenge, sleepInHook };

/** Returns the function that answers requests in an environment. */
export function actorIn({ importBuilt }) {
  let attached;
  return async ({ attach, task, ms }) => {
    if (attach) {
      const { PageAlloc } = await importBuilt(attach.entry);
      attached = { PageAlloc, handle: attach.handle, heap: PageAlloc.attach(attach.handle) };
    }
    return task && TASKS[task]({ ...attached, ms });
  };
}
