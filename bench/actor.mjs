// One of several workers that use a shared heap at once. Asked `{ task, entry, handle, ms }`, it attaches to the heap by
// that entry of the package, does the task over and over for that many ms, and says how it went.

const PAGE = 8192;
const CACHE_PAGES = 64;

/** Allocates page by page from page caches, and gives the pages back. Gives the allocations per ms. */
function fromCaches({ heap, ms }) {
  const bases = new Float64Array(CACHE_PAGES);
  const cache = heap.allocToCache();
  let allocs = 0;
  const start = performance.now();
  while (performance.now() < start + ms) {
    for (let round = 0; round < 20; round++) {
      cache.refill();
      const base = cache.base;
      let n = 0;
      while (!cache.empty) bases[n++] = cache.alloc(1);
      heap.free(base, n);
      allocs += n;
    }
  }
  return allocs / (performance.now() - start);
}

/** Allocates and frees. Gives the allocations per ms. */
function pairs({ heap, ms }) {
  let allocs = 0;
  const start = performance.now();
  while (performance.now() < start + ms) {
    for (let round = 0; round < 500; round++, allocs++) heap.free(heap.alloc(1), 1);
  }
  return allocs / (performance.now() - start);
}

/** Allocates and frees, looking at each alloc by itself. Gives the time that 99 of 100 do not exceed, in ns. */
function slowest({ heap, ms }) {
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

/** Scavenges page by page, from the top again once nothing is left. Gives the pages per ms. */
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

const TASKS = { fromCaches, pairs, slowest, scavenge, sleepInHook };

/** What answers requests of one environment. */
export function actorIn({ importBuilt }) {
  return async ({ task, entry, handle, ms }) => {
    const { PageAlloc } = await importBuilt(entry);
    const heap = PageAlloc.attach(handle);
    const answer = TASKS[task]({ PageAlloc, heap, handle, ms });
    heap.dispose();
    return answer;
  };
}
