// What workers can be told to do. Each job gets a way to load the engine that it is to run on.
import { PAGES } from "../naive.ts";
import type { PageAlloc, Palloc } from "../subject.ts";
import { Actor, type ActorOptions } from "./actor.ts";
import { HeapLock } from "./heap-lock.ts";
import { Signals } from "./signals.ts";

type Load = () => Promise<Palloc>;
type Handle = PageAlloc["handle"];

/** A call of a heap's method, or a look at a property. */
export type Call = [name: string, ...args: unknown[]];

interface CallOptions {
  handle: Handle;
  lockTimeoutMs?: number;
  /** Word 0 is set to 1 just before the first call; word 1 is the number of the caller. */
  signals?: SharedArrayBuffer;
  calls?: Call[];
}

interface StayOptions {
  handle: Handle;
  signals: SharedArrayBuffer;
}

export interface HookOptions extends StayOptions {
  hook: "unused" | "used";
  /** Whether to be busy in the hook rather than asleep. */
  spins: boolean;
  /** Whether `used` is to run for a page cache. */
  caches?: boolean;
}

/** Chunks that long calls are over. */
export const LONG_CHUNKS = 500;
/** How often a heap grows by them, which keeps its check short. */
const MOST_GROWTHS = 40;

export const jobs = {
  /** Takes part in a heap's use until it is told to stop. */
  async act(load: Load, options: ActorOptions): Promise<void> {
    new Actor(await load(), options).run();
  },

  /** Attaches to a heap, makes calls, and gives what they gave. */
  async call(load: Load, { handle, lockTimeoutMs, signals, calls = [] }: CallOptions): Promise<unknown[]> {
    const { PageAlloc } = await load();
    const heap = PageAlloc.attach(handle, { lockTimeoutMs });
    const shared = new Signals(signals);
    shared.set(1, heap.owner);
    shared.set(0, 1);
    const results: unknown[] = [];
    for (const [name, ...args] of calls) {
      const member = heap[name as keyof PageAlloc] as unknown;
      results.push(typeof member === "function" ? await member.apply(heap, args) : member);
    }
    return results;
  },

  /** Holds a heap's lock, sets word 0 to 1, and gives the lock back once that is 2. Word 1 is its number. */
  async hold(load: Load, { handle, signals: buffer }: StayOptions): Promise<void> {
    const { PageAlloc } = await load();
    const lock = new HeapLock(handle);
    const signals = new Signals(buffer);
    const { owner } = PageAlloc.attach(handle);
    lock.take(owner);
    signals.set(1, owner);
    signals.set(0, 1);
    signals.wait(0, 2);
    lock.give();
  },

  /**
   * Sets word 0 to 1, asks for a page by a promise, and for the next by a call that blocks before that promise can get
   * on. Returns both, the call's first. Word 1 is its number.
   */
  async blockBehindPromise(load: Load, { handle, signals: buffer }: StayOptions): Promise<number[]> {
    const { PageAlloc } = await load();
    const heap = PageAlloc.attach(handle, { lockTimeoutMs: Infinity });
    const signals = new Signals(buffer);
    signals.set(1, heap.owner);
    const later = heap.allocAsync(1);
    signals.set(0, 1);
    return [heap.alloc(1), await later];
  },

  /**
   * Gets into a hook, sets word 0 to 1, and comes out once that is 2. Word 1 is its number. Returns what the call gave.
   */
  async stayInHook(load: Load, options: HookOptions): Promise<number> {
    const { PageAlloc } = await load();
    const signals = new Signals(options.signals);
    const stay = () => {
      signals.set(0, 1);
      if (options.spins) while (signals.get(0) !== 2);
      else signals.wait(0, 2);
    };
    const heap = PageAlloc.attach(options.handle, { sys: { [options.hook]: stay } });
    signals.set(1, heap.owner);
    if (options.hook === "unused") return heap.scavengeOne();
    return options.caches ? heap.allocToCache().alloc(10) : heap.alloc(10);
  },

  /** Takes a page cache and 5 pages of it, sets word 0 to 1, and goes no further. Word 1 is its number. */
  async cache(load: Load, { handle, signals: buffer }: StayOptions): Promise<void> {
    const { PageAlloc } = await load();
    const signals = new Signals(buffer);
    const heap = PageAlloc.attach(handle);
    heap.allocToCache().alloc(5);
    signals.set(1, heap.owner);
    signals.set(0, 1);
    signals.wait(0, 2);
  },

  /** Makes calls that are each over many chunks, for ever. Word 1 is its number. */
  async makeLongCalls(load: Load, { handle, signals: buffer }: StayOptions): Promise<void> {
    const { PageAlloc } = await load();
    const heap = PageAlloc.attach(handle);
    const { chunkBytes } = heap;
    const npages = LONG_CHUNKS * PAGES;
    const signals = new Signals(buffer);
    signals.set(1, heap.owner);
    signals.set(0, 1);
    for (let round = 0; ; round++) {
      if (round < MOST_GROWTHS) heap.grow(round * LONG_CHUNKS * chunkBytes, LONG_CHUNKS * chunkBytes);
      const base = heap.alloc(npages);
      heap.free(base, npages);
      heap.scavengeRange(base, npages);
    }
  },

  /** Makes a shared heap where there is no WebAssembly, with a chunk, of which 3 pages are in use. */
  async withoutWebAssembly(load: Load, _options: null): Promise<Handle> {
    Reflect.deleteProperty(globalThis, "WebAssembly");
    const { PageAlloc } = await load();
    const heap = new PageAlloc({ shared: true });
    heap.grow(0, heap.chunkBytes);
    heap.alloc(3);
    return heap.handle;
  },
};

export type Jobs = typeof jobs;
