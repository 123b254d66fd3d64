// Writes Go page traces of any length. They depend on the options alone.
//
// A small model of a Go program runs on a heap of this package, which gives the addresses. So a replay finds each
// allocation where it was recorded, as with a trace of a real program that had one P. The program allocates until its
// heap has 256 MiB. Then it sweeps: it frees most of its spans, the lowest first, and goes on allocating meanwhile.
//
//    for await (const bytes of pageTrace({ events: 1e6 })) file.write(bytes);
import { Op, PageAlloc } from "../../dist/index.js";
import { writePageTrace } from "../../dist/trace.js";
import { randomBelow } from "../random.mjs";

const ALLOC = 1;
const FREE = 2;
const SCAVENGE = 3;
const KIND_OF = { [Op.alloc]: ALLOC, [Op.free]: FREE, [Op.scavengeRange]: SCAVENGE };

const PAGE = 8192;
const CHUNK = 512 * PAGE;
/** Where Go's heap begins. */
const FIRST = 0xc0_0000_0000;
/** Most pages of the program: 256 MiB. */
const LIVE_PAGES = 2 ** 15;
/** Events before the program has a P. */
const EARLY = 16;
const NO_P = -1;
/** A P serves requests of fewer pages from its page cache. */
const CACHED_PAGES_LIMIT = 16;
const TICK_NS = 128;
/** Ticks from one event to the next, on average half of this: Go programs take about 140 µs. */
const TICKS = 2200;
/** Pages per request: how many of 1000 requests have so many. The rest are large. These are about gofmt's. */
const SIZES = [
  [1, 845],
  [2, 33],
  [4, 52],
  [3, 15],
  [7, 14],
  [5, 12],
  [8, 9],
  [6, 5],
  [9, 5],
];
const LARGE = 500;
/** A span as one number: its first page times this, plus its pages. */
const SPAN = 1024;

/** Operations of a batch, and the most that are made at a time. */
const BATCH = 1024;
const OPS_OF_STEP = 3;
const OP_NUMBERS = 4;
const RESULT_NUMBERS = 2;
/** Events of a block. */
const BLOCK = 2 ** 15;

/**
 * Yields the bytes of a trace, in blocks.
 *
 * @param {object} options
 * @param {number} options.events how many events there are
 * @param {number} [options.procs] how many Ps the program has; default 1
 * @param {number} [options.seed] default 1
 */
export const pageTrace = (options) =>
  writePageTrace({
    async *[Symbol.asyncIterator]() {
      yield* blocks(options);
    },
  });

function* blocks({ events, procs = 1, seed = 1 }) {
  const below = randomBelow(seed);
  const program = new Program(below, procs);
  let ticks = 0;
  let block = newBlock();
  let at = 0;
  for (let done = 0; done < events; ) {
    const { ops, results, procOf, count } = program.next();
    for (let i = 0; i < count && done < events; i++, done++) {
      const code = ops[i * OP_NUMBERS];
      ticks += 1 + below(TICKS);
      block.time[at] = ticks * TICK_NS;
      block.proc[at] = procOf[i];
      block.kind[at] = KIND_OF[code];
      block.base[at] = code === Op.alloc ? results[i * RESULT_NUMBERS] : ops[i * OP_NUMBERS + 2];
      block.npages[at] = ops[i * OP_NUMBERS + 1];
      if (++at < BLOCK) continue;
      yield block;
      block = newBlock();
      at = 0;
    }
  }
  program.heap.dispose();
  yield { ...block, length: at };
}

const newBlock = () => ({
  length: BLOCK,
  time: new Float64Array(BLOCK),
  proc: new Int32Array(BLOCK),
  kind: new Uint8Array(BLOCK),
  base: new Float64Array(BLOCK),
  npages: new Uint32Array(BLOCK),
});

/** The model of a program. It makes requests in batches, since addresses are needed only for later frees. */
class Program {
  heap = new PageAlloc();
  #below;
  /** Page caches by P. */
  #caches;
  #ops = new Float64Array(BATCH * OP_NUMBERS);
  #results = new Float64Array(BATCH * RESULT_NUMBERS);
  /** By operation: its P. */
  #procOf = new Int32Array(BATCH);
  #count = 0;
  /** Requests that the program has yet to make before it has a P. */
  #early = EARLY;
  /** Spans in use that the sweep has visited, or that were allocated since it began. */
  #spans = new Float64Array(2 * LIVE_PAGES);
  #live = 0;
  /** Pages in use. */
  #pages = 0;
  /** The spans of a sweep, and the next one to visit. */
  #unswept = new Float64Array(0);
  #next = 0;

  constructor(below, procs) {
    this.#below = below;
    this.#caches = new Array(procs);
    this.heap.grow(FIRST, CHUNK);
  }

  /** Runs the next batch. Its arrays are valid until the next call. */
  next() {
    this.#count = 0;
    if (this.#pages >= LIVE_PAGES && this.#next === this.#unswept.length) this.#beginSweep();
    while (this.#count <= BATCH - OPS_OF_STEP && this.#step()) {}
    const ops = this.#ops.subarray(0, this.#count * OP_NUMBERS);
    this.heap.run(ops, this.#results, { caches: this.#caches, grow: true });
    for (let i = 0; i < this.#count; i++) {
      if (ops[i * OP_NUMBERS] !== Op.alloc) continue;
      const page = this.#results[i * RESULT_NUMBERS] / PAGE;
      this.#spans[this.#live++] = page * SPAN + ops[i * OP_NUMBERS + 1];
    }
    return { ops, results: this.#results, procOf: this.#procOf, count: this.#count };
  }

  #beginSweep() {
    this.#unswept = this.#spans.slice(0, this.#live).sort();
    this.#next = 0;
    this.#live = 0;
  }

  /** Does the next thing. Returns false if that is a sweep, for which all addresses must be known. */
  #step() {
    if (this.#next < this.#unswept.length) {
      this.#visit(this.#unswept[this.#next++]);
      if (this.#below(3) === 0) this.#alloc();
      return true;
    }
    if (this.#pages >= LIVE_PAGES) return false;
    this.#alloc();
    return true;
  }

  #visit(span) {
    if (this.#below(8) < 3) {
      this.#spans[this.#live++] = span;
      return;
    }
    const npages = span % SPAN;
    const base = ((span - npages) / SPAN) * PAGE;
    const proc = this.#below(this.#caches.length);
    this.#push(Op.free, npages, base, proc);
    this.#pages -= npages;
    if (this.#below(10) === 0) this.#push(Op.scavengeRange, npages, base, proc);
  }

  #alloc() {
    const npages = this.#size();
    const hasP = this.#early === 0;
    if (!hasP) this.#early--;
    const proc = hasP ? this.#below(this.#caches.length) : NO_P;
    this.#push(Op.alloc, npages, npages < CACHED_PAGES_LIMIT ? proc : -1, proc);
    this.#pages += npages;
  }

  #size() {
    let left = this.#below(1000);
    for (const [npages, share] of SIZES) {
      if (left < share) return npages;
      left -= share;
    }
    return CACHED_PAGES_LIMIT + this.#below(this.#below(LARGE) + 1);
  }

  #push(code, npages, where, proc) {
    const at = this.#count * OP_NUMBERS;
    this.#ops[at] = code;
    this.#ops[at + 1] = npages;
    this.#ops[at + 2] = where;
    this.#ops[at + 3] = 0;
    this.#procOf[this.#count++] = proc;
  }
}
