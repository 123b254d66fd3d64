// The modules' bytes, inlined by the build.

import { end, own, shared, start } from "../../../build/palloc.pair.js";
import { plain } from "../../../build/palloc.wasm.js";

/** Returns the bytes of the module for memory of one thread. */
export function ownBytes(): Uint8Array<ArrayBuffer> {
  return bytesOf(PALLOC_SHARED ? start + own + end : plain);
}

/** Returns the bytes of the module for shared memory. */
export function sharedBytes(): Uint8Array<ArrayBuffer> {
  return bytesOf(start + shared + end);
}

/** Reads the text that scripts/build-wasm.mjs writes. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/~*[^~]/g) ?? [], (part) => {
    const above = part.length - 1;
    return (part.charCodeAt(above) + 126 * above) ^ 52;
  });
}
