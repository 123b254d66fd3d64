// Heap objects of the twin whose every store, and every use of the lock, can be watched. So a test can act between any
// two of them as another thread might, or end the object there as a terminated worker ends: with the lock held, if it
// was.

import { Arena } from "palloc/arena";
import * as ts from "palloc/ts/shared";
import type { Engine } from "../../src/engine/contract.ts";
import { type Backing, Memory, type SharedMemory } from "../../src/engine/memory.ts";
import { twinOver } from "../../src/engine/ts/engine.ts";
import { CORE } from "../../src/heap/core.ts";
import type { Lock } from "../../src/heap/lock.ts";
import { SharedMemories } from "../../src/store/shared-memories.ts";
import type { PageAlloc, Palloc } from "./subject.ts";

/** What a heap object does that others can see. */
export type Deed = "acquire" | "store" | "release";

/** Who is told of each deed; what it throws, the heap object's call throws. */
export interface Watcher {
  before?(deed: Deed): void;
  after(deed: Deed): void;
}

type Options = Parameters<Palloc["PageAlloc"]["attach"]>[1];
type View = Int32Array | Float64Array | Uint8Array | BigUint64Array;

let watcher: Watcher | undefined;

/** Runs `work`, which uses watched heap objects, and tells `by` of what they do. */
export function watch<T>(by: Watcher, work: () => T): T {
  watcher = by;
  try {
    return work();
  } finally {
    watcher = undefined;
  }
}

/** Attaches a heap object that can be watched. */
export function attachWatched(handle: PageAlloc["handle"], options?: Options): PageAlloc {
  return tell(WatchedAlloc.attach(handle, options));
}

/** Attaches an arena that can be watched. */
export function attachWatchedArena(
  handle: Arena["handle"],
  options?: Parameters<typeof Arena.attach>[2],
): Arena {
  const arena = Arena.attach(WatchedAlloc, handle, options);
  tell(arena.heap);
  return arena;
}

/** Has a heap object tell of the uses of its lock. */
function tell<T extends { readonly [CORE]: { readonly lock: Lock } }>(heap: T): T {
  const { lock } = heap[CORE];
  const { acquire, finish, release } = lock;
  lock.acquire = () => told("acquire", () => acquire.call(lock));
  lock.finish = (work) => {
    told("acquire", () => {});
    finish.call(lock, work);
  };
  lock.release = () => told("release", () => release.call(lock));
  return heap;
}

/** Does a deed, and tells of it. */
function told(deed: Deed, work: () => void): void {
  watcher?.before?.(deed);
  work();
  watcher?.after(deed);
}

/** Memory whose views tell of each element that is stored. */
class WatchedMemory extends Memory {
  override refresh(pages?: number): boolean {
    const done = super.refresh(pages);
    this.i32 = watched(this.i32);
    this.f64 = watched(this.f64);
    this.u8 = watched(this.u8);
    this.u64 = watched(this.u64);
    return done;
  }
}

/** The same memory, unwatched. */
class BareMemory extends Memory {
  declare watched?: WatchedMemory;

  override refresh(pages?: number): boolean {
    const done = super.refresh(pages);
    this.watched?.refresh();
    return done;
  }
}

/** The view behind each watched one. */
const targets = new WeakMap<object, Int32Array>();

const { compareExchange } = Atomics;

// The twin takes and releases the lock by compare-exchange, in calls that are made of one call of the engine. Atomics
// do not take a proxy.
Atomics.compareExchange = ((view: Int32Array, i: number, expected: number, value: number) => {
  const target = targets.get(view);
  if (!target) return compareExchange(view, i, expected, value);
  let seen = 0;
  told(expected ? "release" : "acquire", () => {
    seen = compareExchange(target, i, expected, value);
  });
  return seen;
}) as typeof Atomics.compareExchange;

/** A view that tells of stores. Calls that store many elements do so one by one. */
function watched<T extends View>(view: T): T {
  const store = (i: number, value: T[number]) =>
    told("store", () => {
      view[i] = value;
    });
  const calls: Record<string | symbol, unknown> = {
    fill: (value: T[number], start: number, end: number) => {
      for (let i = start; i < end; i++) store(i, value);
    },
    set: (values: ArrayLike<T[number]>, start = 0) => {
      for (let i = 0; i < values.length; i++) store(start + i, values[i]);
    },
    copyWithin: (to: number, start: number, end: number) => {
      view.slice(start, end).forEach((value, i) => {
        store(to + i, value);
      });
    },
  };
  const proxy = new Proxy(view, {
    get(target, name) {
      const member = calls[name] ?? Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
    set(_, name, value) {
      store(Number(name), value);
      return true;
    },
  });
  if (view instanceof Int32Array) targets.set(proxy, view);
  return proxy;
}

/** The twin on watched memory. What is not watched, as the lock's own word, is stored in the bare one. */
function watchedEngine(memory: SharedMemory): Engine {
  const backing = memory as Backing;
  const bare = new BareMemory(backing);
  const watched = new WatchedMemory(backing);
  bare.watched = watched;
  const { memory: _, ...calls } = twinOver(watched);
  return {
    ...calls,
    get memory() {
      return watcher ? watched : bare;
    },
  };
}

class WatchedAlloc extends ts.PageAlloc {
  static override readonly sharedMemories = new SharedMemories(watchedEngine);
}
