// The module's bytes, inlined by the build.

import text from "../../../build/palloc.wasm.js";

/** Returns the bytes of palloc.wasm. */
export function wasmBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) ^ 52);
}

/** The memory import of the module: "env", "memory", a memory with no maximum, at least one page. */
const PLAIN = [3, 101, 110, 118, 6, 109, 101, 109, 111, 114, 121, 2, 0, 1];
/** The end of an import of shared memory: shared, with a maximum, at least one page, at most 65536. */
const SHARED = [3, 1, 128, 128, 4];
/** Bytes before the import in its section: the section's length, less than 128, and the number of imports. */
const LENGTH_BEFORE = 2;

/**
 * Returns the same module for shared memory. A module must say which kind of memory it imports. Nothing else in
 * palloc.wasm depends on that: only JavaScript uses atomics.
 */
export function withSharedMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, i) => PLAIN.every((byte, j) => bytes[i + j] === byte));
  const flags = at + PLAIN.length - 2;
  const shared = Uint8Array.from([...bytes.subarray(0, flags), ...SHARED, ...bytes.subarray(flags + 2)]);
  shared[at - LENGTH_BEFORE] += SHARED.length - 2;
  return shared;
}
