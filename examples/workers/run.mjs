// What the main thread does, in Node as in a page: makes the heap, starts the workers, uses pages itself, loses a
// worker, and sees in the end that no page is missing. A page's main thread may not block, so as long as others are at
// work it makes only the calls that do not.
import { PageAlloc } from "palloc/shared";
import { fill, Ledger, MEMORY_BYTES, MiB, mustHold, Signals, zeroing } from "./shared.mjs";

const WORKERS = 4;
/** How long they work before one of them is terminated, and how long after, in ms. */
const HALF_MS = 700;
/** Bytes that the heap begins with; the workers grow it. */
const FIRST_BYTES = 8 * MiB;
/** What the main thread allocates at a time, and how long it keeps that, in ms. */
const OWN_PAGES = 4;
const OWN_MS = 5;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Runs the example. Returns what happened: `table`, a row for each thread, and `lines` to read. Throws when anything is
 * not as it must be.
 * @param spawn `spawn(task, onMessage, onError)` starts a worker, and gives a function that terminates it: see main.mjs
 * and page.mjs
 */
export async function run(spawn) {
  const members = [];
  let fail;
  const failure = new Promise((_, reject) => {
    fail = reject;
  });
  const start = (task) => {
    const member = new Member(spawn, task, fail);
    members.push(member);
    return member;
  };
  try {
    return await Promise.race([direct(start), failure]);
  } finally {
    await Promise.all(members.map((member) => member.terminate()));
  }
}

/** A worker as the main thread sees it. */
class Member {
  ledger = new Ledger();

  constructor(spawn, task, fail) {
    const answers = {};
    /** Its owner number, once it is attached to the heap. */
    this.owner = new Promise((resolve) => {
      answers.owner = resolve;
    });
    /** Its report, once it has done its task. */
    this.report = new Promise((resolve) => {
      answers.report = resolve;
    });
    const onMessage = ({ kind, value }) => (kind === "error" ? fail(value) : answers[kind](value));
    this.terminate = spawn({ ...task, ledger: this.ledger.buffer }, onMessage, fail);
  }
}

/** Directs the threads that `start` starts, from the first to the last. */
async function direct(start) {
  const memory = new SharedArrayBuffer(MEMORY_BYTES);
  const signals = new Signals();
  // Zeroing knows no huge pages that would be worth keeping whole.
  const heap = new PageAlloc({ shared: true, physHugePageSize: 0, sys: zeroing(memory) });
  heap.grow(0, FIRST_BYTES);

  const task = { handle: heap.handle, memory, signals: signals.buffer };
  const workers = Array.from({ length: WORKERS }, () => start({ ...task, role: "usePages" }));
  const scavenger = start({ ...task, role: "scavenge" });
  const [lost, ...others] = workers;
  // A worker that has not posted its number yet could not be recovered.
  const owner = await lost.owner;

  let blocks = await usePages(heap, memory, signals);
  const freed = await lose(heap, signals, lost);
  blocks += await usePages(heap, memory, signals);
  signals.stop();

  const table = { "main thread": { owner: heap.owner, blocks }, "worker 1, terminated": { owner } };
  for (const [i, other] of others.entries()) table[`worker ${i + 2}`] = await rowOf(other);
  table.scavenger = await rowOf(scavenger);
  return { table, lines: [freed, ...(await finish(heap, memory))] };
}

/** The table's row for a worker that has done its task. */
async function rowOf(member) {
  return { owner: await member.owner, ...(await member.report) };
}

/** Uses pages as the workers do, by calls that wait without blocking. Returns how many blocks it has had. */
async function usePages(heap, memory, signals) {
  const nbytes = OWN_PAGES * heap.pageSize;
  const stamp = heap.owner << 24;
  let blocks = 0;
  for (const start = performance.now(); performance.now() < start + HALF_MS; await sleep(OWN_MS)) {
    const base = await heap.allocAsync(OWN_PAGES);
    if (base < 0) continue;
    fill(memory, base, nbytes, stamp);
    await sleep(OWN_MS);
    mustHold(memory, base, nbytes, stamp);
    await heap.freeAsync(base, OWN_PAGES);
    signals.freed();
    blocks++;
  }
  return blocks;
}

/** Terminates a worker, whatever it is at, and frees for it what it had. Returns what happened. */
async function lose(heap, signals, member) {
  const owner = await member.owner;
  await member.terminate();
  // Only now that it is gone: to recover a worker that is still at work would break the heap.
  heap.recover(owner);
  const blocks = member.ledger.blocks();
  let npages = 0;
  for (const block of blocks) {
    await heap.freeAsync(block.base, block.npages);
    signals.freed();
    npages += block.npages;
  }
  return (
    `Worker 1 was terminated at its work. recover(${owner}) ended its last call and flushed its page cache; the ` +
    `${blocks.length} blocks in its ledger, ${npages} pages, were freed for it.`
  );
}

/** When all workers have freed what they had: frees the last stray block, and sees that nothing is missing. */
async function finish(heap, memory) {
  const strays = freeAll(heap);
  if (strays > heap.chunkBytes / heap.pageSize) throw new Error(`${strays} pages are in use, and nobody's`);
  heap.resetScavengeAddr();
  await heap.scavengeAsync();
  const { sys, inUse, released, scavenges, scavengedTotal, peakInUse } = heap.stats();
  if (inUse !== 0 || released !== sys) throw new Error(`of ${sys} bytes, only ${released} are released`);
  mustHold(memory, 0, MEMORY_BYTES, 0);
  heap.check();
  heap.dispose();
  return [
    `Pages of it that were in no ledger, as it died between a call and the entry: ${strays}.`,
    `The heap grew to ${sys / MiB} MiB, of which ${Math.round(peakInUse / MiB)} were in use at most. ` +
      `${Math.round(scavengedTotal / MiB)} MiB were released, in ${scavenges} runs.`,
    "In the end all pages are free, released and zero, and the heap is sound.",
  ];
}

/** Frees all that is in use. Returns how many pages that were. */
function freeAll(heap) {
  let npages = 0;
  for (const [chunk, runs] of Object.entries(heap.ranges().alloc)) {
    for (const [first, count] of runs) {
      heap.free(chunk * heap.chunkBytes + first * heap.pageSize, count);
      npages += count;
    }
  }
  return npages;
}
