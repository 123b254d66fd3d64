// The module's bytes, inlined by the build.

import base64 from "../../build/palloc.wasm.js";

/** The bytes of palloc.wasm. */
export function wasmBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
