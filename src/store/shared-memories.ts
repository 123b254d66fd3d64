// The memory of shared heaps, which can be posted to workers. A shared heap never moves, because workers read it
// without the lock. So each reserves as much address space as its bookkeeping may ever take; only the used part takes
// memory. The heaps that one thread makes follow one another in one shared memory until it is full. The space of a
// disposed heap is reused only if its handle was never read, because a handle may have been posted anywhere and stays
// valid. Other space is freed with the whole memory, once no thread refers to it.

import { isInteger, refuse } from "../base/arguments.ts";
import { PageAllocError } from "../base/errors.ts";
import type { Engine } from "../engine/contract.ts";
import * as layout from "../engine/layout.ts";
import { MEMORY_PAGE, MEMORY_PAGES_MAX, type Region, type SharedMemory } from "../engine/memory.ts";
import { memoryFull } from "./regions.ts";
import { ofVersion } from "./snapshot.ts";

/** What another thread needs to attach to a heap. Can be posted to workers and to pages of the same agent cluster. */
export interface PageAllocHandle {
  /** The memory that holds the heap's bookkeeping. */
  readonly memory: SharedMemory;
  /** Address of the heap in that memory, in bytes. */
  readonly at: number;
  /** Bytes that are reserved for the heap in that memory. */
  readonly bytes: number;
}

/** The reserved region of a heap in shared memory. */
export interface SharedHome {
  readonly engine: Engine;
  readonly handle: PageAllocHandle;
  readonly region: Region;
}

/** Address space for a heap. Holds its memory weakly, so that unused space does not keep the memory alive. */
interface Slot {
  readonly weak: WeakRef<SharedMemory>;
  readonly at: number;
}

/** The shared memories of one entry of the package. */
export class SharedMemories {
  readonly #engineOn: (memory: SharedMemory) => Engine;
  /** One engine per memory, whatever the number of heaps in it. */
  readonly #engines = new WeakMap<SharedMemory, Engine>();
  /** Free slots, by their size in bytes. */
  readonly #free: Record<number, Slot[]> = {};
  /** The memory that the next new slot is in, and its address there. */
  #weak: Slot["weak"] | undefined;
  #next = 0;

  /** @param engineOn makes an engine on a shared memory */
  constructor(engineOn: (memory: SharedMemory) => Engine) {
    this.#engineOn = engineOn;
  }

  /**
   * Reserves that many bytes of address space for a new heap. Throws PageAllocError ERR_NOT_ISOLATED where memory
   * cannot be shared, or ERR_METADATA_FULL.
   */
  reserve(bytes: number): SharedHome {
    mustBeIsolated();
    this.#free[bytes] ??= [];
    const free = this.#free[bytes];
    for (;;) {
      const slot = free.pop() ?? this.#newSlot(bytes);
      const memory = slot.weak.deref();
      if (!memory) continue;
      const { at } = slot;
      const engine = this.#engine(memory);
      const giveBack = () => {
        // Zeroed like new memory: a walk without the lock must not find nodes of an earlier heap.
        engine.memory.u8.fill(0, at, at + engine.memory.i32[(at + layout.HEADER_USED) >>> 2]);
        free.push(slot);
      };
      return { engine, handle: { memory, at, bytes }, region: { at, bytes, giveBack } };
    }
  }

  /** Reserves a slot in new memory. */
  #newSlot(bytes: number): Slot {
    if (!this.#weak?.deref() || this.#next + bytes > MEMORY_PAGE * MEMORY_PAGES_MAX) {
      this.#weak = new WeakRef(createShared());
      this.#next = MEMORY_PAGE;
    }
    this.#next += bytes;
    return { weak: this.#weak, at: this.#next - bytes };
  }

  /** Returns the heap that a handle refers to. Throws TypeError for anything else. */
  find(handle: PageAllocHandle): SharedHome {
    const { memory, at, bytes } = Object(handle) as PageAllocHandle;
    const isAddress =
      isShared(memory) &&
      isInteger(at, MEMORY_PAGE, MEMORY_PAGES_MAX * MEMORY_PAGE - 1) &&
      at % MEMORY_PAGE === 0;
    if (isAddress) {
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
    return refuse("handle", handle, "a heap's handle");
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
 * Makes shared memory that can grow to 4 GiB: a WebAssembly.Memory if possible, which both engines can use. Throws
 * PageAllocError ERR_METADATA_FULL when the process is out of address space.
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

/** Reports whether a value is memory that threads can share. */
function isShared(memory: unknown): memory is SharedMemory {
  const buffer =
    typeof WebAssembly === "object" && memory instanceof WebAssembly.Memory ? memory.buffer : memory;
  return typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer;
}

/** Throws PageAllocError ERR_NOT_ISOLATED in a page that cannot share memory. */
function mustBeIsolated(): void {
  if (typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated !== false) return;
  const message =
    "shared heaps need cross-origin isolation: serve the page and its workers' scripts with " +
    '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"';
  throw new PageAllocError("ERR_NOT_ISOLATED", message);
}
