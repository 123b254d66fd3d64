// The module's bytes, inlined by the build.

import text from "../../../build/palloc.wasm.js";

/** The bytes of palloc.wasm. */
export function wasmBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) ^ 52);
}

/** The import of memory as the module has it: "env", "memory", a memory, without a maximum, of at least one page. */
const PLAIN = [3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2, 0, 1];
/** What ends the import of shared memory: shared and with a maximum, of at least one page, of at most 65536. */
const SHARED = [3, 1, 128, 128, 4];
/** Bytes before the import in its section: the section's length, less than 128, and the number of imports. */
const LENGTH_BEFORE = 2;

/**
 * The same module for shared memory. Modules must say which kind they import, and nothing else of palloc.wasm depends
 * on it: of what threads need, only JavaScript uses any.
 */
export function withSharedMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, i) => PLAIN.every((byte, j) => bytes[i + j] === byte));
  const flags = at + PLAIN.length - 2;
  const shared = Uint8Array.from([...bytes.subarray(0, flags), ...SHARED, ...bytes.subarray(flags + 2)]);
  shared[at - LENGTH_BEFORE] += SHARED.length - 2;
  return shared;
}
