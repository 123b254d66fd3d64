// The loops inside an engine as the cases take them: by the kernel's name, a function that is given the chunks of an
// input and a parameter, and gives a function of the number of operations.

const MEMORY_PAGE = 65536;
/** Where the chunks are put: above all that a module may keep for itself. */
const CHUNKS = MEMORY_PAGE;
const MEMORY_PAGES = 4;
const CHUNK_BYTES = 128;

const KERNELS = [
  "hasScavengeCandidate",
  "findScavengeCandidate",
  "summarize",
  "find",
  "popcntRange",
  "allocFreeRange",
  "fillAligned",
];

/**
 * `loopOf(name)` is the engine's loop, given the first chunk's address, their count, the operations and a parameter.
 */
function inside(buffer, crossing, loopOf) {
  const loops = {};
  for (const name of KERNELS) {
    const loop = loopOf(name);
    loops[name] = (words, ...parameters) => {
      const count = words.byteLength / CHUNK_BYTES;
      return (operations) => {
        new BigUint64Array(buffer, CHUNKS, words.length).set(words);
        return loop(CHUNKS, count, operations, ...parameters);
      };
    };
  }
  loops.crossing = () => (operations) => {
    let sum = 0;
    for (let i = 0; i < operations; i++) sum += crossing(i & 1);
    return sum;
  };
  return loops;
}

/** Loops inside the WebAssembly engine, from the bytes of assembly/loops.ts compiled. */
export async function insideWasm(bytes) {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const { crossing, ...loops } = instance.exports;
  // What a loop returns is a sum of 32 bits, signed by JavaScript; only `find`, whose -1 says "none", means it so.
  return inside(memory.buffer, crossing, (name) =>
    name === "find" ? loops.find : (...parameters) => loops[name](...parameters) >>> 0,
  );
}

/** Loops inside the twin, from twin.ts bundled. */
export function insideTwin(twin) {
  const memory = twin.fixedMemory(MEMORY_PAGES * MEMORY_PAGE);
  return inside(memory.u8.buffer, twin.crossing, (name) => {
    const loop = twin[name];
    return (...parameters) => loop(memory, ...parameters);
  });
}
