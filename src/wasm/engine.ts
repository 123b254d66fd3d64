// The engine in WebAssembly: an instance of palloc.wasm over memory of its own.

import { show } from "../args.ts";
import type { Engine, Kernels } from "../engine.ts";
import { PageAllocError } from "../errors.ts";
import { Memory } from "../memory.ts";
import { batchesOf, type Run } from "./batch.ts";
import { wasmBytes } from "./bytes.ts";

/** Compiles the inlined bytes at once. Throws PageAllocError ERR_WASM_UNAVAILABLE where that is not possible. */
export function compile(): WebAssembly.Module {
  return orUnavailable(() => new WebAssembly.Module(wasmBytes()));
}

/** Compiles the inlined bytes without blocking. Rejects as `compile` throws. */
export async function compileAsync(): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(wasmBytes());
  } catch (cause) {
    throw unavailable(cause);
  }
}

/** Throws TypeError unless `module` is palloc.wasm, compiled. The module may come from another realm. */
export function checkModule(module: WebAssembly.Module): void {
  const isModule = Object.prototype.toString.call(module) === "[object WebAssembly.Module]";
  if (isModule && WebAssembly.Module.exports(module).some(({ name }) => name === "scavengeRange")) return;
  throw new TypeError(
    `module must be palloc.wasm, compiled to a WebAssembly.Module, or undefined, got ${show(module)}`,
  );
}

/**
 * Makes an engine with memory of its own, `pages` of 64 KiB at first. Throws PageAllocError ERR_WASM_UNAVAILABLE where
 * that is not possible.
 */
export function createWasm(module: WebAssembly.Module, pages: number): Engine {
  return orUnavailable(() => {
    const memory = new WebAssembly.Memory({ initial: pages });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const { run, ...kernels } = exports as unknown as Kernels & { run: Run };
    return { ...kernels, name: "wasm", memory: new Memory(memory), Batch: batchesOf(run) };
  });
}

/** Runs what needs WebAssembly, and says what to do where there is none. */
function orUnavailable<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw unavailable(cause);
  }
}

/** The error for a runtime that has no WebAssembly, or none that may be used so. */
function unavailable(cause: unknown): PageAllocError {
  const why = typeof WebAssembly === "undefined" ? "this runtime has no WebAssembly" : String(cause);
  const message =
    `palloc cannot run its WebAssembly engine: ${why}. Import "palloc/ts" instead, which needs none; or, where bytes ` +
    'must not be compiled, pass a module made from "palloc/palloc.wasm" to init().';
  return new PageAllocError("ERR_WASM_UNAVAILABLE", message, { cause });
}
