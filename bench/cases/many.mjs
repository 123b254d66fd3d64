// Many small heaps in one process, and whether their memory comes back.

const HEAPS = 10_000;
const CHUNK_BYTES = 2 ** 22;

/** Makes heaps of one chunk, all there at once, and disposes them. */
function round(PageAlloc) {
  const heaps = Array.from({ length: HEAPS }, () => {
    const heap = new PageAlloc();
    heap.grow(0, CHUNK_BYTES);
    return heap;
  });
  for (const heap of heaps) heap[Symbol.dispose]();
  return HEAPS;
}

const about = { group: "many heaps", input: `${HEAPS.toLocaleString("en")} of one chunk` };

/**
 * The cases on many heaps. `residentBytes` gives the memory of the process after a collection, where it can be asked.
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
