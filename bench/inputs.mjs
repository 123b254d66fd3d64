// The named inputs of the kernels. Each is a set of chunks. A chunk is 16 words: its alloc, then its scavenged bitmap.
import { randomBits } from "./random.mjs";

const WORDS = 8;
const CHUNK_PAGES = 512;
const ONES = (1n << 64n) - 1n;
/** Chunks of a set: few enough for the first-level cache, too many for the branch predictor to learn them. */
const SET = 64;

/** The state of a page: the kind of its latest event in the trace, or 0 before its first. */
const FRESH = 0;
const ALLOC = 1;
const FREE = 2;
const SCAVENGE = 3;
const PAGE_BYTES = 8192;

/** Returns a set of chunks. alloc(i) and scavenged(i, alloc) give word i of the set; a chunk has 8 of each. */
function set(alloc, scavenged = () => 0n) {
  const chunks = new BigUint64Array(SET * 2 * WORDS);
  for (let i = 0; i < SET * WORDS; i++) {
    const at = Math.floor(i / WORDS) * 2 * WORDS + (i % WORDS);
    chunks[at] = alloc(i);
    chunks[at + WORDS] = scavenged(i, chunks[at]) & ~chunks[at];
  }
  return chunks;
}

function random() {
  const bits = randomBits(1);
  const word = () => (BigInt(bits()) << 32n) | BigInt(bits());
  return set(word, word);
}

/**
 * Returns the chunks of a traced program's heap at its peak. Pages are in use or released as the trace says. Pages that
 * it has not used yet are as a grow leaves them.
 */
function atPeak(trace) {
  const chunks = new Map();
  const chunkOf = (page) => {
    const index = Math.floor(page / CHUNK_PAGES);
    if (!chunks.has(index)) chunks.set(index, new Uint8Array(CHUNK_PAGES).fill(FRESH));
    return chunks.get(index);
  };
  for (let i = 0, last = peakOf(trace); i <= last; i++) {
    const first = trace.base[i] / PAGE_BYTES;
    for (let page = first; page < first + trace.npages[i]; page++) {
      chunkOf(page)[page % CHUNK_PAGES] = trace.kind[i];
    }
  }
  const words = (states) => {
    const out = new BigUint64Array(2 * WORDS);
    states.forEach((state, page) => {
      const bit = 1n << BigInt(page % 64);
      if (state === ALLOC) out[Math.floor(page / 64)] |= bit;
      if (state === FRESH || state === SCAVENGE) out[WORDS + Math.floor(page / 64)] |= bit;
    });
    return [...out];
  };
  return BigUint64Array.from([...chunks.values()].flatMap(words));
}

/** Returns the event after which the most pages are in use. */
function peakOf(trace) {
  let inUse = 0;
  let most = 0;
  let peak = 0;
  for (let i = 0; i < trace.length; i++) {
    if (trace.kind[i] === ALLOC) inUse += trace.npages[i];
    if (trace.kind[i] === FREE) inUse -= trace.npages[i];
    if (inUse <= most) continue;
    most = inUse;
    peak = i;
  }
  return peak;
}

/** Returns the inputs that need no trace, by name. */
export const syntheticInputs = () => ({
  empty: set(() => 0n),
  full: set(() => ONES),
  bottom: set((i) => (i % WORDS === 0 ? ~0xffn & ONES : ONES)),
  random: random(),
  alternating: set(() => 0x5555_5555_5555_5555n),
});

/** Returns the same, and `peak`: the heap of a trace when the most pages were in use. */
export const kernelInputs = (trace) => ({ ...syntheticInputs(), peak: atPeak(trace) });
