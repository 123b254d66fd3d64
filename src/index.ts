// `palloc`: the page allocator and scavenger on WebAssembly, with the module's bytes inlined.

import { PageAlloc as BasePageAlloc } from "./api/page-alloc.ts";
import { PallocChunks as BasePallocChunks } from "./api/palloc-chunks.ts";
import { PallocData as BasePallocData } from "./api/palloc-data.ts";
import { powerOfTwo, word } from "./base/arguments.ts";
import type { WasmModule } from "./base/platform.ts";
import {
  checkModule,
  compile,
  compileAsync,
  compileShared,
  createWasm,
  wasmOn,
} from "./engine/wasm/engine.ts";
import { once } from "./store/regions.ts";
import { SharedMemories } from "./store/shared-memories.ts";

export * from "./api/exports.ts";

let prepared: WebAssembly.Module | undefined;
let preparedShared: WebAssembly.Module | undefined;
let compiling: Promise<WebAssembly.Module> | undefined;

const instance = once((pages) => createWasm(prepared ?? compile(), pages));
const sharedMemories = PALLOC_SHARED
  ? new SharedMemories((memory) => {
      preparedShared ??= compileShared();
      return wasmOn(preparedShared, memory);
    })
  : undefined;

/**
 * Prepares the engine. Optional: otherwise the first heap compiles the inlined bytes synchronously, which takes about a
 * millisecond. Call it before anything else if that must not block, or if compiling bytes is not allowed.
 * Rejects with TypeError, or PageAllocError ERR_WASM_UNAVAILABLE.
 * @param module palloc.wasm, compiled; default: the inlined bytes, compiled without blocking
 * @param shared palloc.shared.wasm, compiled, for shared heaps; default: the inlined bytes, compiled when first needed
 */
export async function init(module?: WasmModule, shared?: WasmModule): Promise<void> {
  if (PALLOC_SHARED && shared !== undefined) {
    checkModule(shared, "shared", true);
    preparedShared ??= shared;
  }
  if (module === undefined) {
    compiling ??= compileAsync();
    prepared ??= await compiling;
  } else {
    checkModule(module, "module");
    prepared ??= module;
  }
  instance();
}

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
  static override readonly sharedEntry: string = "palloc/shared";
  /** @internal */
  static override readonly PallocData = PallocData;
}

/**
 * Splits x into aligned groups of m bits, and sets all bits of each group that has a bit set. x is a bigint from 0n to
 * 2n ** 64n - 1n; m is a power of two, 1 to 64. Throws TypeError or RangeError.
 */
export function fillAligned(x: bigint, m: number): bigint {
  const filled = instance().engine.fillAligned(word("x", x), powerOfTwo("m", m, 1, 64));
  return BigInt.asUintN(64, filled);
}
