// A heap's state where it lies: the numbers of its header, and of its pieces, by their offset.

import { PageAllocError } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import type { Region } from "../engine/memory.ts";

/** A state, in a region of an engine's memory. */
export class State {
  readonly engine: Engine;
  readonly region: Region;

  constructor(engine: Engine, region: Region) {
    this.engine = engine;
    this.region = region;
  }

  /** The heap's address in linear memory. Throws PageAllocError ERR_DISPOSED when there is none any more. */
  get at(): number {
    if (!this.region.at) throw disposed();
    return this.region.at;
  }

  /** Throws PageAllocError ERR_DISPOSED when the heap is gone. */
  mustBeThere(): void {
    if (!this.region.at) throw disposed();
  }

  /** A u32 of the header, or at any offset of the region. */
  get(offset: number): number {
    return this.engine.memory.i32[(this.region.at + offset) >>> 2] >>> 0;
  }

  /** Writes a u32 of the header, or at any offset of the region. */
  set(offset: number, value: number): void {
    this.engine.memory.i32[(this.region.at + offset) >>> 2] = value;
  }

  /** An f64 of the header. */
  getF64(field: number): number {
    return this.engine.memory.f64[(this.region.at + field) >>> 3];
  }

  /** Writes an f64 of the header. */
  setF64(field: number, value: number): void {
    this.engine.memory.f64[(this.region.at + field) >>> 3] = value;
  }
}

/** The error for any use of a heap after `dispose`. */
export function disposed(): PageAllocError {
  return new PageAllocError("ERR_DISPOSED", "the heap has been disposed of");
}
