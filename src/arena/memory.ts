// The memory that an arena hands out parts of.

import { bytesLost, isInteger, refuse } from "../base/arguments.ts";
import type { WasmMemory } from "../base/platform.ts";

/**
 * What an arena hands out parts of. A number is a size in bytes, of memory that JavaScript does not see: a GPU buffer,
 * a file.
 */
export type ArenaMemory = ArrayBuffer | SharedArrayBuffer | WasmMemory | number;

/** Returns the buffer of an arena's memory as it is now; undefined for a size. */
export function bufferOf(memory: ArenaMemory): ArrayBufferLike | undefined {
  if (typeof memory === "number") return undefined;
  return isWasm(memory) ? memory.buffer : memory;
}

/** Reports whether threads can share the memory. A size can be posted, and means the same everywhere. */
export function isShareable(memory: ArenaMemory): boolean {
  const buffer = bufferOf(memory);
  return !buffer || (typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer);
}

/** Returns the size of an arena's memory in bytes. Throws TypeError if its buffer has been detached. */
export function sizeOf(memory: ArenaMemory): number {
  if (typeof memory === "number") return memory;
  const { byteLength } = bufferOf(memory) as ArrayBufferLike;
  if (!byteLength && !isWasm(memory) && isDetached(memory as ArrayBuffer))
    throw bytesLost("the arena's memory");
  return byteLength;
}

/** Checks an arena's memory. Throws TypeError or RangeError. */
export function readMemory(memory: ArenaMemory): ArenaMemory {
  const allowed = "an ArrayBuffer, a SharedArrayBuffer, a WebAssembly.Memory, or a size in bytes";
  if (typeof memory === "number") {
    if (!isInteger(memory, 1, 2 ** 48))
      refuse("memory", memory, "an integer from 1 to 2 ** 48, or a buffer", "number");
    return memory;
  }
  const isBuffer =
    memory instanceof ArrayBuffer ||
    (typeof SharedArrayBuffer === "function" && memory instanceof SharedArrayBuffer);
  if (!isBuffer && !isWasm(memory)) refuse("memory", memory, allowed);
  sizeOf(memory);
  return memory;
}

function isWasm(memory: ArenaMemory): memory is WasmMemory {
  return typeof WebAssembly === "object" && memory instanceof WebAssembly.Memory;
}

/** Reports whether an empty buffer has been detached. */
function isDetached(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
