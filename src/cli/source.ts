// Where the commands read traces from: files, and standard input, which some formats need in a file.

import { createWriteStream, rmSync } from "node:fs";
import { type FileHandle, mkdtemp, open, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TraceSource } from "palloc/trace";

/** Bytes read from a file at a time. */
const READ_BYTES = 2 ** 18;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What a command reads. */
export interface Opened {
  readonly source: TraceSource;
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
  return { source: fileBlob(path, size), size, close() {} };
}

/** Copies a stream to a temporary file, which `close` removes, and so does a signal that ends the process. */
export async function spool(stream: Readable): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), "palloc-"));
  const close = removeAtEnd(folder);
  try {
    const path = join(folder, "input");
    await pipeline(stream, createWriteStream(path));
    const { size } = await stat(path);
    return { source: fileBlob(path, size), size, close };
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
  return {
    size,
    stream: () => ({ locked: false, getReader: () => fileReader(path) }),
    slice: (start: number, end: number) => ({
      async arrayBuffer() {
        const file = await open(path);
        try {
          const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
          let length = 0;
          while (length < bytes.length) {
            const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length);
            if (bytesRead === 0) break;
            length += bytesRead;
          }
          return bytes.buffer.slice(0, length);
        } finally {
          await file.close();
        }
      },
    }),
  };
}

/** Reads a file in blocks. Each is valid until the next is asked for. After the end there are no more. */
function fileReader(path: string | URL) {
  const block = new Uint8Array(READ_BYTES);
  let file: Promise<FileHandle> | undefined;
  let isOver = false;
  const cancel = async () => {
    if (isOver) return;
    isOver = true;
    await (await file)?.close();
  };
  return {
    async read() {
      if (isOver) return { done: true as const, value: undefined };
      file ??= open(path);
      const { bytesRead } = await (await file).read(block, 0, block.length);
      if (bytesRead > 0) return { done: false as const, value: block.subarray(0, bytesRead) };
      await cancel();
      return { done: true as const, value: undefined };
    },
    cancel,
  };
}
