// Reads and writes the fields of a heap's state in linear memory.

import { PageAllocError } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import type { Region } from "../engine/memory.ts";

/** A heap's state, in a region of an engine's memory. */
export class State {
  readonly engine: Engine;
  readonly region: Region;

  constructor(engine: Engine, region: Region) {
    this.engine = engine;
    this.region = region;
  }

  /** The heap's address in linear memory. Throws PageAllocError ERR_DISPOSED after `dispose`. */
  get at(): number {
    if (!this.region.at) throw disposed();
    return this.region.at;
  }

  /** Throws PageAllocError ERR_DISPOSED after `dispose`. */
  mustBeThere(): void {
    if (!this.region.at) throw disposed();
  }

  /** Reads the u32 at a byte offset in the region. */
  get(offset: number): number {
    return this.engine.memory.i32[(this.region.at + offset) >>> 2] >>> 0;
  }

  /** Writes the u32 at a byte offset in the region. */
  set(offset: number, value: number): void {
    this.engine.memory.i32[(this.region.at + offset) >>> 2] = value;
  }

  /** Reads an f64 of the header. */
  getF64(field: number): number {
    return this.engine.memory.f64[(this.region.at + field) >>> 3];
  }

  /** Writes an f64 of the header. */
  setF64(field: number, value: number): void {
    this.engine.memory.f64[(this.region.at + field) >>> 3] = value;
  }
}

/** Returns the error for the use of a heap after `dispose`. */
export function disposed(): PageAllocError {
  return new PageAllocError("ERR_DISPOSED", "the heap has been disposed of");
}
