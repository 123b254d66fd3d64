// The engine in WebAssembly: an instance of palloc.wasm over memory of its own, or over shared memory.

import { refuse } from "../../base/arguments.ts";
import { PageAllocError } from "../../base/errors.ts";
import type { Engine, Kernels } from "../contract.ts";
import { Memory, type SharedMemory } from "../memory.ts";
import { batchesOf, type Run } from "./batch.ts";
import { ownBytes, sharedBytes } from "./bytes.ts";

/** Compiles the inlined bytes synchronously. Throws PageAllocError ERR_WASM_UNAVAILABLE where that is not possible. */
export function compile(): WebAssembly.Module {
  return orUnavailable(() => new WebAssembly.Module(ownBytes()));
}

/** Does the same for the module that works on shared memory. */
export function compileShared(): WebAssembly.Module {
  return orUnavailable(() => new WebAssembly.Module(sharedBytes()));
}

/** Compiles the inlined bytes without blocking. Rejects with what `compile` throws. */
export async function compileAsync(): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(ownBytes());
  } catch (cause) {
    throw unavailable(cause);
  }
}

/**
 * Throws TypeError unless an argument is the compiled file: `palloc.wasm` for memory of one thread, or
 * `palloc.shared.wasm` for shared memory. It may come from another realm.
 */
export function checkModule(module: WebAssembly.Module, name: string, shared = false): void {
  const isModule = Object.prototype.toString.call(module) === "[object WebAssembly.Module]";
  if (isModule && WebAssembly.Module.exports(module).some(({ name }) => name === "scavengeRange")) {
    try {
      // A module does not say which kind of memory it imports, but takes only that.
      new WebAssembly.Instance(module, { env: { memory: smallMemory(shared) } });
      return;
    } catch {
      // It is the other file.
    }
  }
  refuse(
    name,
    module,
    `palloc${shared ? ".shared" : ""}.wasm, compiled to a WebAssembly.Module, or undefined`,
  );
}

/** Returns new memory of one page. */
function smallMemory(shared: boolean): WebAssembly.Memory {
  return new WebAssembly.Memory(shared ? { initial: 1, maximum: 65536, shared } : { initial: 1 });
}

/**
 * Makes an engine with memory of its own, `pages` of 64 KiB at first. Throws PageAllocError ERR_WASM_UNAVAILABLE where
 * that is not possible.
 */
export function createWasm(module: WebAssembly.Module, pages: number): Engine {
  return orUnavailable(() => wasmOver(module, new WebAssembly.Memory({ initial: pages }), batchesOf));
}

/**
 * Makes an engine on shared memory. It has no batches: a batch must lie in the engine's memory, and no room there is
 * reserved for those of this thread. Throws TypeError for memory that is not WebAssembly's, or PageAllocError
 * ERR_WASM_UNAVAILABLE.
 */
export function wasmOn(module: WebAssembly.Module, memory: SharedMemory): Engine {
  if (memory instanceof SharedArrayBuffer) {
    throw new TypeError(
      'handle is from a heap made without WebAssembly; attach to it with "palloc/ts/shared"',
    );
  }
  return orUnavailable(() => wasmOver(module, memory));
}

/** Makes an engine from an instance of the module on that memory. */
function wasmOver(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  batches?: typeof batchesOf,
): Engine {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { run, ...kernels } = exports as unknown as Kernels & { run: Run };
  return { ...kernels, name: "wasm", memory: new Memory(memory), Batch: batches?.(run) };
}

/** Runs work that needs WebAssembly. If it fails, throws an error that says what to do instead. */
function orUnavailable<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw unavailable(cause);
  }
}

/** Returns the error for a runtime that has no WebAssembly, or does not allow this use of it. */
function unavailable(cause: unknown): PageAllocError {
  const why = typeof WebAssembly === "undefined" ? "this runtime has no WebAssembly" : String(cause);
  const message =
    `palloc cannot run its WebAssembly engine: ${why}. Import "palloc/ts" or "palloc/ts/shared" instead: they need ` +
    "no WebAssembly. If only compiling bytes is not allowed, call init() with a module made from " +
    '"palloc/palloc.wasm" and, for shared heaps, one made from "palloc/palloc.shared.wasm".';
  return new PageAllocError("ERR_WASM_UNAVAILABLE", message, { cause });
}
