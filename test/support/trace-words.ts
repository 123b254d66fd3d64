// Page traces made for tests, word by word, and an independent reader of them.
import { loadFixture } from "./fixtures.ts";
import { PAGE } from "./heaps.ts";

/** Bytes of a word. */
export const WORD = 8;

export const ALLOC = 1;
export const FREE = 2;
export const SCAVENGE = 3;

/** Says who wrote what follows. */
export const proc = (id: number): bigint => BigInt.asUintN(64, (BigInt(id) << 3n) | 0b100n);
/** The time base of what follows, in ticks. */
export const timeBase = (ticks: number | bigint): bigint => BigInt(ticks) << 3n;

/** An event's word, and the one with its number of pages where it does not fit or `many` says so. */
export function event(
  kind: number,
  base: number,
  npages: number,
  ticks = 0,
  many = npages > 0x3ff,
): bigint[] {
  const word = (BigInt(ticks) << 48n) | BigInt(base) | BigInt(kind);
  return many ? [word | 0b100n, BigInt(npages)] : [word | (BigInt(npages) << 3n)];
}

export const alloc = (base: number, npages: number, ticks?: number) => event(ALLOC, base, npages, ticks);
export const free = (base: number, npages: number, ticks?: number) => event(FREE, base, npages, ticks);
export const scavenge = (base: number, npages: number, ticks?: number) =>
  event(SCAVENGE, base, npages, ticks);

/** The bytes of a file of these words. */
export function file(...words: Array<bigint | bigint[]>): Uint8Array {
  const view = new DataView(new ArrayBuffer(words.flat().length * WORD));
  words.flat().forEach((word, i) => {
    view.setBigUint64(i * WORD, word, true);
  });
  return new Uint8Array(view.buffer);
}

/** A trace of one P, whose events are a tick apart. */
export function traceOf(...events: bigint[][]): Uint8Array {
  const timed = events.map(([word, ...rest], i) => [word | (BigInt(i) << 48n), ...rest]);
  return file(proc(0), timeBase(1000), ...timed);
}

/** A recorded trace, unpacked. */
export async function unpackedTrace(name: string): Promise<Uint8Array> {
  const data = await loadFixture(`traces/${name}.pt.gz`);
  return data[0] === 0x1f ? transform(data, new DecompressionStream("gzip")) : data;
}

export function gzip(data: Uint8Array): Promise<Uint8Array> {
  return transform(data, new CompressionStream("gzip"));
}

/**
 * The bytes in blocks of that many, all in the same memory, which holds something else as soon as the next is asked
 * for.
 */
export async function* inBlocks(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(size);
  for (let at = 0; at < data.length; at += size) {
    const part = data.subarray(at, at + size);
    memory.set(part);
    yield memory.subarray(0, part.length);
    memory.fill(0xff);
  }
}

/**
 * Gzip data without an end, which unpacks to these bytes over and over: header, then blocks that are not compressed.
 */
export async function* endlessGzip(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);
  const [low, high] = [data.length & 0xff, data.length >> 8];
  for (;;) {
    yield Uint8Array.of(0, low, high, low ^ 0xff, high ^ 0xff);
    yield data.slice();
  }
}

async function transform(data: Uint8Array, stream: GenericTransformStream): Promise<Uint8Array> {
  const out = new Blob([data as BlobPart]).stream().pipeThrough(stream as ReadableWritablePair);
  return new Uint8Array(await new Response(out).arrayBuffer());
}

/** One event, as the plainest reader sees it. */
export interface PlainEvent {
  time: number;
  proc: number;
  kind: number;
  base: number;
  npages: number;
  offset: number;
}

/** A word that starts something: not the second of an event. */
interface FirstWord {
  offset: number;
  word: bigint;
  kind: number;
  flag: boolean;
  /** The word after it. */
  next: bigint;
}

function firstWords(data: Uint8Array): FirstWord[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const words: FirstWord[] = [];
  for (let offset = 0; offset < data.length; offset += WORD) {
    const word = view.getBigUint64(offset, true);
    const kind = Number(word & 3n);
    const flag = (word & 4n) !== 0n;
    const next = offset + WORD < data.length ? view.getBigUint64(offset + WORD, true) : 0n;
    words.push({ offset, word, kind, flag, next });
    if (kind !== 0 && flag) offset += WORD;
  }
  return words;
}

/** Reads a trace the plainest way: BigInt words, objects, a stable sort. */
export function plainEvents(data: Uint8Array): PlainEvent[] {
  const events: PlainEvent[] = [];
  let proc = 0;
  let ticks = 0n;
  for (const { offset, word, kind, flag, next } of firstWords(data)) {
    if (kind === 0 && flag) proc = Number(BigInt.asIntN(64, word) >> 3n);
    else if (kind === 0) ticks = word >> 3n;
    else {
      const time = Number((ticks + (word >> 48n)) * 128n);
      const npages = Number(flag ? next : (word >> 3n) & 0x3ffn);
      events.push({ time, proc, kind, base: Number(word & 0xffffffffe000n), npages, offset });
    }
  }
  return events.sort((a, b) => a.time - b.time);
}

/** The buffers that a file was put together from, each of one P. */
export function buffersOf(data: Uint8Array): Uint8Array[] {
  const starts = firstWords(data).filter(({ kind, flag }) => kind === 0 && flag);
  return starts.map(({ offset }, i) => data.subarray(offset, starts[i + 1]?.offset));
}

/** Address of a page, counted from where the Go heap starts. */
export const goPage = (page: number): number => 0xc000000000 + page * PAGE;
