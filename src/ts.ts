// `palloc/ts`: the same package on the pure-TypeScript twin, for where WebAssembly or `wasm-unsafe-eval` is
// unavailable.

import { PageAlloc as BasePageAlloc } from "./api/page-alloc.ts";
import { PallocChunks as BasePallocChunks } from "./api/palloc-chunks.ts";
import { PallocData as BasePallocData } from "./api/palloc-data.ts";
import { powerOfTwo, word } from "./base/arguments.ts";
import { fillAligned as fill } from "./engine/ts/candidate.ts";
import { createTwin, twinOn } from "./engine/ts/engine.ts";
import { once } from "./store/regions.ts";
import { SharedMemories } from "./store/shared-memories.ts";

export * from "./api/exports.ts";

const instance = once(createTwin);
const sharedMemories = PALLOC_SHARED ? new SharedMemories(twinOn) : undefined;

/** Does nothing. It exists so that `palloc` and `palloc/ts` export the same names. */
export async function init(): Promise<void> {}

/** A chunk of its own, or a view of a heap's chunk; see the base class. */
export class PallocData extends BasePallocData {
  /** @internal */
  static override readonly instance = instance;
}

/** Many chunks in a row; see the base class. */
export class PallocChunks extends BasePallocChunks {
  /** @internal */
  static override readonly instance = instance;
  /** @internal */
  static override readonly PallocData = PallocData;
}

/** A heap of pages; see the base class. */
export class PageAlloc extends BasePageAlloc {
  /** @internal */
  static override readonly instance = instance;
  /** @internal */
  static override readonly sharedMemories = sharedMemories as SharedMemories;
  /** @internal */
  static override readonly sharedEntry: string = "palloc/ts/shared";
  /** @internal */
  static override readonly PallocData = PallocData;
}

/**
 * Splits x into aligned groups of m bits, and sets all bits of each group that has a bit set. x is a bigint from 0n to
 * 2n ** 64n - 1n; m is a power of two, 1 to 64. Throws TypeError or RangeError.
 */
export function fillAligned(x: bigint, m: number): bigint {
  return fill(word("x", x), powerOfTwo("m", m, 1, 64));
}
