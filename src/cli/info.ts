// `palloc info`: says what traces are, from one pass over each, in bounded memory.

import type { PageTrace, TraceCorrections } from "palloc/trace";
import { correctionRows, count, hex, labelled, mebibytes } from "./format.ts";
import { print } from "./output.ts";
import { type ReadHost, type Reading, type ReadRequest, withTrace } from "./reading.ts";
import { findGcLog, type Opened } from "./source.ts";

/** The arguments of `palloc info`. */
export interface InfoRequest extends ReadRequest {
  /** Paths, or "-" for standard input. */
  readonly files: readonly string[];
  readonly json?: boolean;
}

const KINDS = ["", "alloc", "free", "scavenge", "exists", "grow", "unmap"];
const [ALLOC, FREE, SCAVENGE, EXISTS, GROW] = [1, 2, 3, 4, 5];

/** What a trace is. Times in ns, sizes in bytes. */
interface Info {
  file: string;
  fileBytes: number;
  format: string;
  origin?: string;
  packing: "gzip" | "zstd" | "none";
  pageSize: number;
  events: number;
  kinds: Record<string, number>;
  firstTime: number | null;
  lastTime: number | null;
  procs: number;
  peakInUseBytes: number;
  peakInUseTime: number | null;
  allocatedBytes: number;
  lowestAddress: number | null;
  endAddress: number | null;
  /** Allocations of more than half of `most` bytes, up to `most`. */
  sizes: Array<{ most: number; allocs: number; bytes: number }>;
  gcCycles: number | null;
  /** File that told the cycles, if not the trace. */
  gcLog?: string;
  /** What the reader had to change; nothing that is 0. */
  corrections: Partial<TraceCorrections>;
  cutShort?: string;
  ask: string[];
}

/**
 * Prints what each trace is. Returns the exit status: 1 if any was bad or could not be read. Rejects with OutputError
 * when stdout cannot be written.
 */
export async function info(request: InfoRequest, host: ReadHost): Promise<number> {
  if (request.gcLog && request.files.length > 1) {
    throw new RangeError(`options.gcLog is for one trace, got ${request.files.length}; give them one by one`);
  }
  let status = 0;
  for (const path of request.files) {
    const asked = { ...request, gcLog: request.gcLog ?? (await findGcLog(path)) };
    const found = await withTrace(path, asked, host, (reading) => look(reading, asked));
    if (!found) status = 1;
    else {
      const said: Info = { ...found.result, corrections: found.corrections };
      await print(host.stdout, request.json ? `${JSON.stringify(said)}\n` : text(said));
    }
  }
  return status;
}

/** Goes over a trace once. */
async function look(
  { name, trace, opened }: Reading,
  { device, gcLog }: InfoRequest,
): Promise<Omit<Info, "corrections">> {
  const { source, size } = opened as Opened;
  const sums = new Sums(trace.pageSize);
  for await (const block of trace) sums.add(block);
  const { format, origin, pageSize } = trace;
  const packing = await packingOf(source);
  const { ask: questions, ...found } = sums.result();
  const chosen = device === undefined ? "" : ` --device ${device}`;
  const ask = questions.map(([question, options]) => `${question}: palloc replay ${options}${chosen}`);
  const head = { file: name, fileBytes: size, format, ...(origin && { origin }), packing, pageSize };
  return { ...head, ...found, ...(gcLog && { gcLog }), ask };
}

async function packingOf(source: Opened["source"]): Promise<Info["packing"]> {
  const reader = source.stream().getReader();
  const { value = [] } = await reader.read();
  await reader.cancel();
  const [a, b, c, d] = value;
  if (a === 0x1f && b === 0x8b) return "gzip";
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? "zstd" : "none";
}

/** What the blocks of a trace add up to. */
class Sums {
  readonly #pageSize: number;
  readonly #kinds = new Float64Array(KINDS.length);
  readonly #procs = new Set<number>();
  /** Allocations and their pages, by the logarithm of the size in pages, rounded up. */
  readonly #allocs = new Float64Array(34);
  readonly #pages = new Float64Array(34);
  #first: number | null = null;
  #last: number | null = null;
  #inUse = 0;
  #peak = 0;
  #peakTime: number | null = null;
  #low = Infinity;
  #end = 0;
  #gcCycles: number | null = null;
  #cutShort: string | undefined;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  add(block: PageTrace): void {
    const { length, time, proc, kind, base, npages, gc, cutShort } = block;
    if (gc) this.#gcCycles = (this.#gcCycles ?? 0) + gc.length;
    this.#cutShort = cutShort ?? this.#cutShort;
    if (length === 0) return;
    this.#first ??= time[0];
    this.#last = time[length - 1];
    for (let i = 0; i < length; i++) {
      const pages = npages[i];
      this.#kinds[kind[i]]++;
      if (i === 0 || proc[i] !== proc[i - 1]) this.#procs.add(proc[i]);
      this.#low = Math.min(this.#low, base[i]);
      this.#end = Math.max(this.#end, base[i] + pages * this.#pageSize);
      if (kind[i] === FREE) this.#inUse -= pages;
      if (kind[i] !== ALLOC && kind[i] !== EXISTS) continue;
      this.#inUse += pages;
      if (this.#inUse > this.#peak) {
        this.#peak = this.#inUse;
        this.#peakTime = time[i];
      }
      if (kind[i] !== ALLOC) continue;
      const size = pages === 1 ? 0 : 32 - Math.clz32(pages - 1);
      this.#allocs[size]++;
      this.#pages[size] += pages;
    }
  }

  result() {
    const kinds = Object.fromEntries(
      KINDS.map((name, kind) => [name, this.#kinds[kind]]).filter(([, n]) => n !== 0),
    );
    const sizes = Array.from(this.#allocs, (allocs, size) => ({
      most: 2 ** size * this.#pageSize,
      allocs,
      bytes: this.#pages[size] * this.#pageSize,
    })).filter(({ allocs }) => allocs > 0);
    const events = this.#kinds.reduce((sum, n) => sum + n, 0);
    return {
      events,
      kinds,
      firstTime: this.#first,
      lastTime: this.#last,
      procs: this.#procs.size - (this.#procs.has(-1) ? 1 : 0),
      peakInUseBytes: this.#peak * this.#pageSize,
      peakInUseTime: this.#peakTime,
      allocatedBytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
      lowestAddress: events > 0 ? this.#low : null,
      endAddress: events > 0 ? this.#end : null,
      sizes,
      gcCycles: this.#gcCycles,
      ...(this.#cutShort !== undefined && { cutShort: this.#cutShort }),
      ask: this.#ask(),
    };
  }

  /** What can be asked of the trace, and the options that answer it. */
  #ask(): Array<[question: string, options: string]> {
    if (this.#kinds[ALLOC] === 0) return [];
    const grows = this.#kinds[GROW] > 0;
    const asked: Array<[string, string]> = [
      ["what first fit would need", `${grows ? "--growth needed " : ""}--scavenge none`],
    ];
    if (grows) asked.push(["how much of what was mapped was fragmentation", "--placement recorded"]);
    if (this.#kinds[SCAVENGE] > 0) asked.push(["what its scavenger saved", "--scavenge recorded"]);
    return asked;
  }
}

/** Formats what a trace is, for people. */
function text(info: Info): string {
  const { format, origin, packing, firstTime, lastTime, peakInUseTime, lowestAddress, endAddress } = info;
  const seconds = (ns: number) => `${(ns / 1e9).toFixed(3)} s`;
  const rows: Array<[string, string]> = [
    ["format", `${format}${origin ? `, converted from ${origin}` : ""}`],
    ["file", `${count(info.fileBytes)} bytes${packing === "none" ? "" : `, ${packing}`}`],
    ["page size", `${count(info.pageSize)} bytes`],
    ["events", count(info.events)],
    ...Object.entries(info.kinds).map(([kind, n]): [string, string] => [`  ${kind}`, count(n)]),
    ...correctionRows(info.corrections),
  ];
  if (firstTime !== null && lastTime !== null) {
    rows.push(["time", seconds(lastTime - firstTime)], ["Ps or threads", count(info.procs)]);
    const when = peakInUseTime === null ? "" : `, after ${seconds(peakInUseTime - firstTime)}`;
    rows.push(["peak in use", mebibytes(info.peakInUseBytes) + when]);
    rows.push(["allocated in total", mebibytes(info.allocatedBytes)]);
    rows.push(["addresses", `${hex(lowestAddress ?? 0)} to ${hex(endAddress ?? 0)}`]);
  }
  if (info.gcCycles !== null) {
    rows.push(["gc cycles", count(info.gcCycles) + (info.gcLog === undefined ? "" : `, from ${info.gcLog}`)]);
  }
  for (const { most, allocs, bytes } of info.sizes) {
    rows.push([`allocs to ${count(most)} bytes`, `${count(allocs)}, ${mebibytes(bytes)}`]);
  }
  for (const question of info.ask) rows.push(["ask", question]);
  if (info.cutShort !== undefined) rows.push(["warning", info.cutShort]);
  return labelled(info.file, rows);
}
