// Where shared heaps live: in memory that workers can be given. A heap is one region there as everywhere, but never
// moved, since workers read it without the lock; so each has as much address space set aside as its bookkeeping may
// ever take, of which only what it uses is memory. The heaps that one thread makes follow one another in one shared
// memory until that is full. A place is used again only if the handle of its heap was never read: a handle may have
// been posted anywhere, and is good for as long as anybody has it. The rest goes with the whole memory, when all
// threads have let go of it.

import { isInteger, refuse } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import { MEMORY_PAGE, MEMORY_PAGES_MAX, type Region, type SharedMemory } from "../engine/memory.ts";
import { memoryFull } from "./regions.ts";
import { ofVersion } from "./snapshot.ts";

/** What another thread needs to attach to a heap. Can be posted to workers, and to pages of the same agent cluster. */
export interface PageAllocHandle {
  /** Where the heap's bookkeeping is. */
  readonly memory: SharedMemory;
  /** Address of the heap in that memory, in bytes. */
  readonly at: number;
  /** Bytes that are set aside for it there. */
  readonly bytes: number;
}

/** A place for a heap in shared memory. */
export interface SharedPlace {
  readonly engine: Engine;
  readonly handle: PageAllocHandle;
  readonly region: Region;
}

/**
 * Where a heap can be. Weak, since one that is not used must not keep its memory, and all the dead heaps in it, from
 * being collected.
 */
interface Spot {
  readonly weak: WeakRef<SharedMemory>;
  readonly at: number;
}

/** The shared memories of one entry of the package. */
export class SharedMemories {
  readonly #engineOn: (memory: SharedMemory) => Engine;
  /** One engine for each memory, however many heaps there are in it. */
  readonly #engines = new WeakMap<SharedMemory, Engine>();
  /** Spots that were given back, by their bytes. */
  readonly #free: Record<number, Spot[]> = {};
  /** The memory that further spots are in, and the first address that is free there. */
  #weak: Spot["weak"] | undefined;
  #next = 0;

  /** @param engineOn makes an engine that works on shared memory */
  constructor(engineOn: (memory: SharedMemory) => Engine) {
    this.#engineOn = engineOn;
  }

  /**
   * Sets that many bytes of address space aside for a new heap. Throws PageAllocError ERR_NOT_ISOLATED where memory
   * cannot be shared, or ERR_METADATA_FULL.
   */
  place(bytes: number): SharedPlace {
    mustBeIsolated();
    this.#free[bytes] ??= [];
    const free = this.#free[bytes];
    for (;;) {
      const spot = free.pop() ?? this.#fresh(bytes);
      const memory = spot.weak.deref();
      if (!memory) continue;
      const { at } = spot;
      const engine = this.#engine(memory);
      const giveBack = () => {
        // As new memory is: a walk without the lock must never come upon nodes of another heap.
        engine.memory.u8.fill(0, at, at + engine.memory.i32[(at + layout.HEADER_USED) >>> 2]);
        free.push(spot);
      };
      return { engine, handle: { memory, at, bytes }, region: { at, bytes, giveBack } };
    }
  }

  /** A spot that no heap has been at. */
  #fresh(bytes: number): Spot {
    if (!this.#weak?.deref() || this.#next + bytes > MEMORY_PAGE * MEMORY_PAGES_MAX) {
      this.#weak = new WeakRef(createShared());
      this.#next = MEMORY_PAGE;
    }
    this.#next += bytes;
    return { weak: this.#weak, at: this.#next - bytes };
  }

  /** The place that a handle shows. Throws TypeError when it is none. */
  find(handle: PageAllocHandle): SharedPlace {
    const { memory, at, bytes } = Object(handle) as PageAllocHandle;
    const isPlace =
      isShared(memory) &&
      isInteger(at, MEMORY_PAGE, MEMORY_PAGES_MAX * MEMORY_PAGE - 1) &&
      at % MEMORY_PAGE === 0;
    if (isPlace) {
      const engine = this.#engine(memory);
      engine.memory.refresh();
      const word = (offset: number) => engine.memory.i32[(at + offset) >>> 2];
      if (word(layout.HEADER_MAGIC) === layout.MAGIC) {
        const version = word(layout.HEADER_VERSION);
        if (version !== layout.VERSION) throw new TypeError(ofVersion("handle", version));
        if (word(layout.HEADER_ROOM) === bytes)
          return { engine, handle: { memory, at, bytes }, region: { at, bytes } };
      }
    }
    return refuse("handle", handle, "what heap.handle gives");
  }

  #engine(memory: SharedMemory): Engine {
    let engine = this.#engines.get(memory);
    if (!engine) {
      engine = this.#engineOn(memory);
      this.#engines.set(memory, engine);
    }
    return engine;
  }
}

/**
 * Shared memory that can grow to 4 GiB: WebAssembly's where there is any, so that both engines can be on it. Throws
 * PageAllocError ERR_METADATA_FULL when there are no addresses left for it.
 */
function createShared(): SharedMemory {
  try {
    if (typeof WebAssembly === "object") {
      return new WebAssembly.Memory({ initial: 1, maximum: MEMORY_PAGES_MAX, shared: true });
    }
    return new SharedArrayBuffer(MEMORY_PAGE, { maxByteLength: MEMORY_PAGE * MEMORY_PAGES_MAX });
  } catch {
    throw memoryFull(MEMORY_PAGE);
  }
}

/** Whether it is memory that threads can share. */
function isShared(memory: unknown): memory is SharedMemory {
  const buffer =
    typeof WebAssembly === "object" && memory instanceof WebAssembly.Memory ? memory.buffer : memory;
  return typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer;
}

/** Throws PageAllocError ERR_NOT_ISOLATED in a page that may not share memory. */
function mustBeIsolated(): void {
  if (typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated !== false) return;
  const message =
    "shared heaps need a page that is served, as its workers' scripts are, with " +
    '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"';
  throw new PageAllocError("ERR_NOT_ISOLATED", message);
}
