// palloc: the page allocator and scavenger on WebAssembly, whose bytes are inlined.

import { powerOfTwo, word } from "./args.ts";
import { FIRST_PAGES, once } from "./instance.ts";
import { PageAlloc as BasePageAlloc } from "./page-alloc.ts";
import { PallocData as BasePallocData } from "./palloc-data.ts";
import { compile, compileAsync, createWasm } from "./wasm/engine.ts";

export * from "./api.ts";

let prepared: WebAssembly.Module | undefined;

const instance = once(() => createWasm(prepared ?? compile(), FIRST_PAGES));

/**
 * Makes the engine ready. Without it the first heap compiles the inlined bytes synchronously, which takes about a
 * millisecond. Call it before anything else, where that must not block, or where bytes may not be compiled.
 * @param module palloc.wasm, compiled; default: the inlined bytes, compiled without blocking
 * Rejects with TypeError, or PageAllocError ERR_WASM_UNAVAILABLE.
 */
export async function init(module?: WebAssembly.Module): Promise<void> {
  if (module !== undefined && !(module instanceof WebAssembly.Module)) {
    throw new TypeError("module must be a WebAssembly.Module or undefined");
  }
  prepared = module ?? (await compileAsync());
  instance();
}

export class PallocData extends BasePallocData {
  protected static override readonly instance = instance;
}

export class PageAlloc extends BasePageAlloc {
  protected static override readonly instance = instance;
  protected static override readonly PallocData = PallocData;
}

/**
 * Every m-aligned group of m bits of x with any bit set becomes all ones. x is a bigint from 0 to 2n ** 64n - 1n, m a
 * power of two, 1 to 64. Throws TypeError or RangeError.
 */
export function fillAligned(x: bigint, m: number): bigint {
  const filled = instance().engine.fillAligned(word("x", x), powerOfTwo("m", m, 1, 64));
  return BigInt.asUintN(64, filled);
}
