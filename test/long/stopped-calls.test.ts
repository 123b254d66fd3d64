// A worker may be terminated at any instruction. Here one ends after each of its stores, and each use of its lock, in
// turn, for every kind of call: once another object, on either engine, has called `recover`, the bytes are those of
// before or after the call; for a call of several locked sections, those of between two of them. A worker on wasm
// leaves what one on ts does.

import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { describe, expect, it } from "vitest";
import * as layout from "../../src/engine/layout.ts";
import { MEMORY_PAGE } from "../../src/engine/memory.ts";
import { CORE } from "../../src/heap/core.ts";
import {
  type Call,
  grow,
  kindsOfCalls,
  mixedCache,
  reused,
  type Sys,
  WHIM,
  type World,
} from "../support/calls.ts";
import { PAGE } from "../support/heaps.ts";
import { Random } from "../support/random.ts";
import type { PageAlloc, PageCache, Palloc } from "../support/subject.ts";
import { attachWatched, type Deed, type Watcher, watch } from "../support/watched.ts";

/** Room for the bookkeeping of any heap here: there are many, and none is given back. */
const METADATA = MEMORY_PAGE;
/** What ends a worker. */
const END = new Error("the worker has ended");

/** Ends a worker after a number of deeds. From then on it does nothing: not even `finally` gives its lock back. */
class Fate implements Watcher {
  readonly deeds: Deed[] = [];
  readonly #most: number;

  constructor(most = Infinity) {
    this.#most = most;
  }

  before(): void {
    if (this.deeds.length >= this.#most) throw END;
  }

  after(deed: Deed): void {
    this.deeds.push(deed);
    this.before();
  }
}

const sharedHeap = () => new ts.PageAlloc({ shared: true, metadataLimit: METADATA });

/**
 * What a call needs, its worker one of the twin that can be watched, or on an engine that is given. The worker has
 * hooks only if the call sets any: without, some calls take the lock inside the engine.
 */
function newWorld(call: Call, palloc?: Palloc): World & { call: () => unknown } {
  const world = worldWith(call, palloc, false);
  return Object.keys(world.sys).length ? worldWith(call, palloc, true) : world;
}

/** What a call needs, with a worker that looks up its hooks in `sys`, or with one that can have none. */
function worldWith({ begin, heap = sharedHeap }: Call, palloc: Palloc | undefined, hooks: boolean) {
  const sys: Sys = {};
  const other = heap();
  const options = hooks ? { sys } : {};
  const worker = palloc
    ? palloc.PageAlloc.attach(other.handle, options)
    : attachWatched(other.handle, options);
  const world = { worker, other, sys };
  return { ...world, call: begin(world) };
}

/** Makes a call whose worker ends after `most` deeds. Returns all that it did. */
function live(call: () => unknown, most?: number): Deed[] {
  const fate = new Fate(most);
  try {
    watch(fate, call);
  } catch (error) {
    if (error !== END && error !== WHIM) throw error;
  }
  return fate.deeds;
}

/**
 * The bytes of a heap, which must be sound, once it has been told that these workers have ended. Without searchAddr: a
 * call that has not happened may have raised it, and `check` compares it with the first free page.
 */
function recovered(heap: PageAlloc, ...ended: PageAlloc[]): Uint8Array {
  for (const { owner } of ended) heap.recover(owner);
  heap.check();
  return bytesOf(heap);
}

/** The bytes of a heap, without searchAddr. */
function bytesOf(heap: PageAlloc): Uint8Array {
  const bytes = heap.snapshot();
  for (const field of [layout.HEADER_SEARCH_CHUNK, layout.HEADER_SEARCH_INDEX, layout.HEADER_CHECKSUM])
    bytes.fill(0, field, field + 4);
  return bytes;
}

/** A heap after a call whose worker has ended after `most` deeds and been recovered on an engine, and its bytes. */
function leftAfter(call: Call, most?: number, { PageAlloc }: Palloc = ts) {
  const { worker, other, call: make } = newWorld(call);
  live(make, most);
  return { heap: other, bytes: recovered(PageAlloc.attach(other.handle), worker) };
}

/** A call's deeds, and what must be left when its worker ends between two locked sections, or after the last. */
class Course {
  readonly deeds: Deed[];
  readonly #states: Uint8Array[];

  constructor(call: Call) {
    this.deeds = live(newWorld(call).call);
    const ends = this.deeds.flatMap((deed, i) => (deed === "release" ? [i + 1] : []));
    this.#states = [0, ...ends, undefined].map((most) => leftAfter(call, most).bytes);
  }

  get sections(): number {
    return this.#states.length - 2;
  }

  /** How many sections were carried out, to judge by what is left after so many deeds. Throws when one is half done. */
  sectionsIn(left: Uint8Array, deeds: number): number {
    const before = this.deeds.slice(0, deeds).filter((deed) => deed === "release").length;
    for (const sections of [before + 1, before]) if (same(left, this.#states[sections])) return sections;
    const wrong = [...left.keys()].filter((i) => left[i] !== this.#states[before][i]);
    throw new Error(`after deed ${deeds} of ${this.deeds.length}, bytes ${wrong} are neither old nor new`);
  }
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** Ends the worker after each deed. What it has carried out may only become more. */
function stopEverywhere(call: Call, course: Course): void {
  let sections = 0;
  for (let deeds = 1; deeds <= course.deeds.length; deeds++) {
    const now = course.sectionsIn(leftAfter(call, deeds, deeds % 2 ? wasm : ts).bytes, deeds);
    if (now < sections) throw new Error(`after deed ${deeds} less is done than after fewer`);
    sections = now;
  }
}

/** The deeds after which a call's journal is full: its first, one in the middle, and its last. */
function inTheJournal(call: Call, course: Course): number[] {
  const full = [...course.deeds.keys()].filter((deeds) => {
    const { other, call: make } = newWorld(call);
    live(make, deeds);
    return other[CORE].get(layout.JOURNAL_OP) !== 0;
  });
  return full.length ? [full[0], full[full.length >> 1], full[full.length - 1]] : [];
}

/** Ends the worker after so many deeds, and then, after each of its own, the one that recovers it. */
function stopRecovery(call: Call, course: Course, deeds: number): void {
  for (let most = 1; ; most++) {
    const { worker, other, call: make } = newWorld(call);
    const rescuer = attachWatched(other.handle);
    live(make, deeds);
    const done = live(() => rescuer.recover(worker.owner), most);
    course.sectionsIn(recovered(other, rescuer, worker), deeds);
    if (done.length < most) return;
  }
}

describe("recovery after any store of a worker", () => {
  it.each(kindsOfCalls)("finishes or undoes %s", (_, kind) => {
    const course = new Course(kind);
    expect(course.sections).toBe(kind.sections);
    expect(course.deeds).toContain("store");
    stopEverywhere(kind, course);
  });

  it("leaves the pages of an alloc that sys.used undoes in use or free", () => {
    for (const prepare of [reused, reusedFromCache]) {
      const calls = [() => {}, throwWhim].map((used) => ({
        begin: (world: World) => {
          world.sys.used = used;
          return prepare(world);
        },
      }));
      const inUse = (call: Call, most?: number) => JSON.stringify(leftAfter(call, most).heap.ranges().alloc);
      const allowed = new Set([inUse(calls[0], 0), ...calls.map((call) => inUse(call))]);
      const { deeds } = new Course(calls[1]);
      for (let most = 1; most <= deeds.length; most++) expect(allowed).toContain(inUse(calls[1], most));
    }
  });

  it("returns the pages of a cache alloc that sys.used undoes to the cache or the heap", () => {
    const begin = (world: World) => {
      world.sys.used = throwWhim;
      return reusedFromCache(world);
    };
    const course = new Course({ begin });
    const first = course.deeds.indexOf("release") + 1;
    for (let deeds = first; deeds <= course.deeds.length; deeds++) {
      course.sectionsIn(leftAfter({ begin }, deeds).bytes, deeds);
    }
    for (const deeds of inTheJournal({ begin }, course))
      if (deeds > first) stopRecovery({ begin }, course, deeds);
  });

  it("flushes the worker's caches and changes nothing else if no call was running", () => {
    const [flushed, ended, idle] = [1, 2, 3].map(() => {
      const world = newWorld({ begin: mixedCacheInUse });
      return { ...world, cache: world.call() as PageCache };
    });
    flushed.cache.flush();
    const want = bytesOf(flushed.other);
    expect(recovered(ended.other, ended.worker)).toEqual(want);
    idle.cache.flush();
    expect(recovered(idle.other, idle.worker)).toEqual(want);
  });

  it("finishes or undoes calls on random heaps", () => {
    for (let seed = 0; seed < 150; seed++) {
      const call = { begin: anyCall(seed) };
      const course = new Course(call);
      const random = new Random(seed);
      for (let k = 0; k < 8; k++) {
        const deeds = random.between(1, course.deeds.length);
        course.sectionsIn(leftAfter(call, deeds).bytes, deeds);
      }
    }
  });
});

describe("recovery after any store of a recovery", () => {
  it.each(kindsOfCalls)("finishes or undoes %s", (_, kind) => {
    const course = new Course(kind);
    for (const deeds of inTheJournal(kind, course)) stopRecovery(kind, course, deeds);
  });
});

describe("a worker on wasm", () => {
  it.each(kindsOfCalls)(
    "leaves the same memory as one on ts after %s, including saved fields and the journal",
    (_, kind) => {
      const [left, wanted] = [wasm, ts].map((palloc) => {
        const { call, other } = newWorld(kind, palloc);
        live(call);
        const { at, engine } = other[CORE];
        return engine.memory.i32.slice(at >>> 2, (at + other.stats().metadata) >>> 2);
      });
      expect(left).toEqual(wanted);
    },
  );
});

describe("recovery in memory that others have not seen", () => {
  it.each<[string, (worker: PageAlloc) => unknown]>([
    ["grow", (worker) => grow(worker, 600)],
    ["allocToCache", (worker) => worker.allocToCache()],
  ])("finishes or undoes %s", (_, make) => {
    const begin = ({ worker }: World) => {
      worker.allocToCache();
      return () => make(worker);
    };
    const call = { begin, heap: atTheEdge };
    stopEverywhere(call, new Course(call));
  });
});

/** A heap for whose bookkeeping no more memory is in sight, but for one record. */
function atTheEdge(): PageAlloc {
  const room = (heap: PageAlloc) => heap[CORE].engine.memory.size - heap.handle.at - heap.stats().metadata;
  while (Math.ceil(room(sharedHeap()) / MEMORY_PAGE) !== 2);
  const heap = new ts.PageAlloc({ shared: true, metadataLimit: 2 * MEMORY_PAGE });
  for (let chunk = 0; room(heap) > layout.LEAF_BYTES + 3 * layout.NODE_BYTES; chunk += 8)
    grow(heap, chunk, chunk + 7);
  while (room(heap) >= 2 * layout.RECORD_BYTES) heap.allocToCache();
  return heap;
}

function throwWhim(): never {
  throw WHIM;
}

/** A run of a page cache for `sys.used` to be told of. */
function reusedFromCache(world: World): () => number {
  const cache = mixedCache(world);
  return () => cache.alloc(5);
}

/** Gives a page cache some of whose pages are allocated. */
function mixedCacheInUse(world: World): () => PageCache {
  const cache = mixedCache(world);
  cache.alloc(3);
  return () => cache;
}

/** Any call on a heap of any shape. */
function anyCall(seed: number): Call["begin"] {
  return ({ worker, other }) => {
    const random = new Random(seed);
    const chunks = Array.from({ length: random.between(2, 12) }, () =>
      random.below(random.pick([12, 99, 9999])),
    );
    const [last, ...first] = new Set(chunks);
    for (const chunk of first) grow(other, chunk);
    const live: [base: number, npages: number][] = [];
    const cache = worker.allocToCache();
    for (let k = random.below(40); k > 0; k--) {
      const npages = random.pick([1, 3, 70, 600]);
      const base = other.alloc(npages);
      if (base >= 0) live.push([base, npages]);
      if (random.oneIn(2) && live.length) other.free(...live.splice(random.below(live.length), 1)[0]);
      if (random.oneIn(9)) other.allocToCache();
      if (random.oneIn(5)) other.resetScavengeAddr();
      if (random.oneIn(5)) other.scavenge(random.below(300) * PAGE);
    }
    const npages = random.pick([1, 9, 90, 700]);
    return random.pick([
      () => worker.alloc(npages),
      () => live.length && worker.free(...random.pick(live)),
      () => grow(worker, last),
      () => worker.scavenge(npages * PAGE),
      () => worker.scavengeOne(npages * PAGE),
      () => worker.allocToCache(),
      () => cache.alloc(Math.min(npages, 40)),
      () => cache.flush(),
      () => worker.dispose(),
    ]);
  };
}
