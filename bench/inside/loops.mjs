// The loops inside an engine, in the form that the cases need. For each kernel, by its name, there is a function. It
// takes the chunks of an input and a parameter, and returns a function that runs a number of operations.

const MEMORY_PAGE = 65536;
/** Where the chunks lie: above all memory that a module may use itself. */
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
 * `loopOf(name)` is the engine's loop. It takes the address of the first chunk, the number of chunks, the number of
 * operations, and a parameter.
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

/** Returns the loops inside the WebAssembly engine. `bytes` is assembly/loops.ts, compiled. */
export async function insideWasm(bytes) {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const { crossing, ...loops } = instance.exports;
  // A loop returns a sum of 32 bits, which JavaScript reads as signed. Only `find`, whose -1 means "none", wants that.
  return inside(memory.buffer, crossing, (name) =>
    name === "find" ? loops.find : (...parameters) => loops[name](...parameters) >>> 0,
  );
}

/** Returns the loops inside the twin. The argument is twin.ts, bundled. */
export function insideTwin(twin) {
  const memory = twin.fixedMemory(MEMORY_PAGES * MEMORY_PAGE);
  return inside(memory.u8.buffer, twin.crossing, (name) => {
    const loop = twin[name];
    return (...parameters) => loop(memory, ...parameters);
  });
}
