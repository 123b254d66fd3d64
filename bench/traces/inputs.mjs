// The files that the benchmark of traces reads. They are written when they are needed, into a temporary folder.
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { mallocLog } from "./malloc-log.mjs";
import { pageTrace } from "./page-trace.mjs";
import { pytorchSnapshot } from "./pytorch-snapshot.mjs";

/** Bytes per event, line or entry of each kind of file, rounded up. */
const EVENT_BYTES = 8.3;
const LINE_BYTES = 37;
const ENTRY_BYTES = 180;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

/** A file. `bytes` is at least its size. `write(path, pathOf)` writes it; `pathOf(input)` gives that of another. */
export const pageTraceOf = (events, procs = 1) => ({
  name: `${events}-${procs}.pt`,
  bytes: events * EVENT_BYTES,
  write: (path) => pipeline(Readable.from(pageTrace({ events, procs })), createWriteStream(path)),
});

export const gzipOf = (input) => ({
  name: `${input.name}.gz`,
  bytes: 2 * input.bytes,
  async write(path, pathOf) {
    const from = createReadStream(await pathOf(input));
    await pipeline(from, createGzip({ level: 1 }), createWriteStream(path));
  },
});

export const mallocLogOf = (lines) => ({
  name: `${lines}.csv`,
  bytes: lines * LINE_BYTES,
  write: (path) => pipeline(Readable.from(mallocLog({ lines })), createWriteStream(path)),
});

export const snapshotOf = (bytes) => ({
  name: `${bytes}.pickle`,
  bytes: 1.1 * bytes,
  write(path) {
    const entries = Math.ceil(bytes / ENTRY_BYTES);
    return pipeline(Readable.from(pytorchSnapshot({ entries, protocol: 5 })), createWriteStream(path));
  },
});

/** The temporary folder. */
export class Inputs {
  #folder = mkdtempSync(join(tmpdir(), "palloc-traces-"));
  #written = new Map();

  /** Throws if the folder has no room for so many bytes. A signal that ends the process removes the folder. */
  constructor(bytes) {
    for (const signal of SIGNALS) {
      process.once(signal, () => {
        this.remove();
        process.kill(process.pid, signal);
      });
    }
    const { bavail, bsize } = statfsSync(this.#folder);
    if (bavail * bsize >= bytes) return;
    const [wanted, free] = [bytes, bavail * bsize].map((x) => `${(x / 1e9).toFixed(1)} GB`);
    this.remove();
    throw new Error(
      `${tmpdir()} has ${free} left, and ${wanted} are needed; set TMPDIR, or leave rows out with --only`,
    );
  }

  /** Returns a file's path. Writes it if that has not been done. */
  pathOf = async (input) => {
    const path = join(this.#folder, input.name);
    if (!this.#written.has(path)) this.#written.set(path, input.write(path, this.pathOf));
    await this.#written.get(path);
    return path;
  };

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Returns the size of a file in bytes. */
export const sizeOf = (path) => statSync(path).size;
