// Damages a file in every place, and checks what is made of it.
import { expect } from "vitest";
import { Random } from "./random.ts";
import type { Subject } from "./subject.ts";

type Read = Subject["trace"]["readTrace"];
type ReadOptions = Parameters<Read>[1];

/** Cuts the file after every `step` bytes. Each cut must be read, or refused with ERR_TRACE that names a byte. */
export async function cutEverywhere(
  read: Read,
  file: Uint8Array,
  options: ReadOptions,
  step = 1,
): Promise<void> {
  for (let length = 0; length < file.length; length += step) {
    await readOrRefuse(read, file.subarray(0, length), options, `cut after ${length} bytes`);
  }
}

/** Changes one byte at a time, every `step` bytes. What comes out must be a trace, or ERR_TRACE that names a byte. */
export async function changeEverywhere(
  read: Read,
  file: Uint8Array,
  options: ReadOptions,
  seed: number,
  step = 1,
): Promise<void> {
  const random = new Random(seed);
  const changed = file.slice();
  for (let at = 0; at < file.length; at += step) {
    changed[at] ^= random.between(1, 255);
    await readOrRefuse(read, changed, options, `seed ${seed}, byte ${at} is ${changed[at]}`);
    changed[at] = file[at];
  }
}

async function readOrRefuse(read: Read, file: Uint8Array, options: ReadOptions, what: string): Promise<void> {
  try {
    const { length, time, base, npages } = await read(file, options);
    if (length > time.length || length > base.length || length > npages.length)
      throw new Error("short columns");
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    expect(code, `${what}: ${message}`).toBe("ERR_TRACE");
    expect(message, what).toMatch(/\bbyte \d+/);
  }
}
