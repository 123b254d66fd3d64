// The module's bytes, inlined by the build.

import hex from "../../build/palloc.wasm.js";

/** The bytes of palloc.wasm. */
export function wasmBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
