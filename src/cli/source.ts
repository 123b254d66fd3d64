// Where the commands read traces from: files, and standard input, which some formats need in a file.

import { createWriteStream, rmSync } from "node:fs";
import { type FileHandle, mkdtemp, open, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";

/** Bytes read from a file at a time. */
const READ_BYTES = 2 ** 18;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What a command reads. */
export interface Opened {
  /** Of the file, or of the temporary copy. */
  readonly path: string;
  readonly source: ReturnType<typeof fileBlob>;
  /** Bytes of the source. */
  readonly size: number;
  /** Lets go of it. */
  close(): void;
}

/** Reports whether a file is a pipe or a device, which can be read only once. Rejects with the system's error. */
export async function isPipe(path: string | URL): Promise<boolean> {
  const found = await stat(path);
  return !found.isFile() && !found.isDirectory();
}

/** Opens a file. Rejects with the system's error. */
export async function openFile(path: string | URL): Promise<Opened> {
  // A folder opens, but the first read reports it. So do files that seem empty, as those of /proc.
  const { size } = await stat(path);
  const name = typeof path === "string" ? path : fileURLToPath(path);
  return { path: name, source: fileBlob(path, size), size, close() {} };
}

/**
 * Returns the path of the log of the scavenger and the collector beside a page trace: X.events.ndjson, plain or packed,
 * beside X.pt. Undefined if there is none.
 */
export async function findGcLog(path: string): Promise<string | undefined> {
  const [, stem] = /^(.*)\.pt(\.gz|\.zst)?$/s.exec(path) ?? [];
  if (stem === undefined) return undefined;
  for (const packing of ["", ".gz", ".zst"]) {
    const log = `${stem}.events.ndjson${packing}`;
    if (await stat(log).catch(() => undefined)) return log;
  }
  return undefined;
}

/** Copies a stream to a temporary file, which `close` removes, and so does a signal that ends the process. */
export async function spool(stream: Readable): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), "palloc-"));
  const close = removeAtEnd(folder);
  try {
    const path = join(folder, "input");
    await pipeline(stream, createWriteStream(path));
    const { size } = await stat(path);
    return { path, source: fileBlob(path, size), size, close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Has a temporary file or folder removed when a signal ends the process. The function that it returns removes it now.
 */
export function removeAtEnd(path: string): () => void {
  const close = () => {
    rmSync(path, { recursive: true, force: true });
    for (const signal of SIGNALS) process.off(signal, end);
  };
  const end = (signal: NodeJS.Signals) => {
    close();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return close;
}

/** A file as a Blob. Node's own prints a warning. Its web streams take longer to load than a small file to read. */
function fileBlob(path: string | URL, size: number) {
  return { size, stream: () => ({ locked: false, getReader: () => fileReader(path) }) };
}

/**
 * Reads a file in blocks, each of which is valid until the next is asked for. While one is used, the next is read.
 * After the end there are no more.
 */
function fileReader(path: string | URL) {
  const buffers = [new Uint8Array(READ_BYTES), new Uint8Array(READ_BYTES)];
  let file: Promise<FileHandle> | undefined;
  let ahead: Promise<Uint8Array> | undefined;
  let isOver = false;
  const readNext = async () => {
    file ??= open(path);
    const [block] = buffers;
    buffers.reverse();
    const { bytesRead } = await (await file).read(block, 0, block.length);
    return block.subarray(0, bytesRead);
  };
  const cancel = async () => {
    if (isOver) return;
    isOver = true;
    await ahead?.catch(() => {});
    await (await file)?.close();
  };
  return {
    async read() {
      if (isOver) return { done: true as const, value: undefined };
      const block = await (ahead ?? readNext());
      if (block.length > 0) {
        ahead = readNext();
        // The next call rejects, if there is one.
        ahead.catch(() => {});
        return { done: false as const, value: block };
      }
      ahead = undefined;
      await cancel();
      return { done: true as const, value: undefined };
    },
    cancel,
  };
}
