// Many small heaps in one process, and whether their memory comes back.

const HEAPS = 10_000;
const CHUNK_BYTES = 2 ** 22;

/** Makes many heaps of one chunk, and disposes them only when all are there. */
function round(PageAlloc) {
  const heaps = Array.from({ length: HEAPS }, () => {
    const heap = new PageAlloc();
    heap.grow(0, CHUNK_BYTES);
    return heap;
  });
  for (const heap of heaps) heap.dispose?.();
  return HEAPS;
}

const about = { group: "many heaps", input: `${HEAPS.toLocaleString("en")} of one chunk` };

/**
 * Returns the cases on many heaps. `residentBytes` gives the memory of the process after a garbage collection. It is
 * undefined in browsers.
 */
export function manyCases({ residentBytes }) {
  const cases = [
    {
      ...about,
      name: "made and disposed",
      columns: ["BigInt", "ts", "wasm"],
      create: ({ PageAlloc }) => ({ unitsPerOperation: HEAPS, most: 1, run: () => round(PageAlloc) }),
    },
  ];
  if (!residentBytes) return cases;
  cases.push({
    ...about,
    name: "memory gained by a second round",
    unit: "bytes",
    columns: ["BigInt", "ts", "wasm"],
    value({ PageAlloc }) {
      round(PageAlloc);
      const before = residentBytes();
      round(PageAlloc);
      return Math.max(0, residentBytes() - before);
    },
  });
  return cases;
}
