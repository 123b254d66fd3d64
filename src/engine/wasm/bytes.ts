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

/** Reads the text that scripts/build-wasm.mjs writes. In a loop, since every process that starts waits for it. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  let code = 0;
  for (const char of text) {
    code += char.charCodeAt(0);
    if (char !== "~") {
      bytes.push(code ^ 52);
      code = 0;
    }
  }
  return new Uint8Array(bytes);
}
