// Shared heaps, a worker or two at a time: what one does all see, and whoever finds the lock held waits, or is told why
// not.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { afterEach, describe, expect, it, vi } from "vitest";
import * as layout from "../../src/engine/layout.ts";
import { CHUNK, grownHeap, PAGE, touchedHeap, visible } from "../support/heaps.ts";
import { NOT_NUMBERS, NOT_OBJECTS, refused, rejected } from "../support/refusals.ts";
import { sameBytes } from "../support/same.ts";
import type { PageAlloc, Palloc } from "../support/subject.ts";
import { type Crew, type Hand, withHands } from "../support/workers/crew.ts";
import { HeapLock } from "../support/workers/heap-lock.ts";
import { PAIRS, sharedHeap } from "../support/workers/heaps.ts";
import { Signals, sleep } from "../support/workers/signals.ts";
import { takerTests } from "./bad-input.ts";

const ENGINES: [string, Palloc][] = [
  ["wasm", wasm],
  ["ts", ts],
];

/** Runs `work` while a worker holds the heap's lock. */
async function whileHeld(
  hand: Hand,
  { handle }: PageAlloc,
  work: (owner: number, letGo: () => void) => Promise<unknown>,
): Promise<void> {
  const signals = new Signals();
  const done = hand.run("hold", "ts", { handle, signals: signals.words.buffer });
  await signals.reached(0, 1);
  const letGo = () => signals.set(0, 2);
  try {
    await work(signals.get(1), letGo);
  } finally {
    letGo();
    await done;
  }
}

/**
 * A heap of one chunk, every page free and none scavenged, whose hooks, once armed, end with the lock in other hands.
 */
function heapThatLosesTheLock(palloc: Palloc) {
  const other = touchedHeap(palloc, [0], { shared: true });
  const lock = new HeapLock(other.handle);
  const hook = { armed: false };
  const lose = () => {
    if (hook.armed) lock.take(other.owner);
  };
  const sys = { unused: lose, used: lose };
  const heap = palloc.PageAlloc.attach(other.handle, { lockTimeoutMs: 20, sys });
  heap.resetScavengeAddr();
  return { heap, lock, hook };
}

/** Does `work` while the lock is held in the name of an object, unless it has been freed by then. */
async function whileLocked(
  { handle }: PageAlloc,
  owner: number,
  work: () => Promise<unknown>,
): Promise<void> {
  const lock = new HeapLock(handle);
  lock.take(owner);
  await work();
  if (lock.holder === owner) lock.give();
}

/** Lets a heap have had that many owners. */
function setOwners({ handle: { memory, at } }: PageAlloc, count: number): void {
  new Int32Array("buffer" in memory ? memory.buffer : memory)[(at + layout.HEADER_OWNERS) >>> 2] = count;
}

/** Calls that leave nothing of a heap as it was made. */
function use(heap: PageAlloc): void {
  heap.grow(3 * CHUNK, 2 * CHUNK);
  heap.grow(1000 * CHUNK, CHUNK);
  const base = heap.alloc(100);
  heap.alloc(700);
  heap.free(base, 60);
  heap.allocToCache().alloc(3);
  const cache = heap.allocToCache();
  cache.alloc(1);
  cache.flush();
  heap.resetScavengeAddr();
  heap.scavengeOne();
  heap.scavenge(20 * PAGE);
  heap.allocRange(1000 * CHUNK + 5 * PAGE, 9);
}

/** A shared heap of one chunk, whose handle has not been read. */
const unread = (palloc: Palloc) => grownHeap(palloc, [0], { shared: true });

/**
 * Where heaps that begin with chunk 0 are: in which memory, and at what address, which no handle has to be read for.
 */
function placesOf(heaps: PageAlloc[]): [memory: ArrayBufferLike, at: number][] {
  return heaps.map((heap) => {
    const { buffer, byteOffset } = heap.chunk(0).alloc.words;
    return [buffer, byteOffset - layout.LEAF_DATA - layout.HEADER_BYTES];
  });
}

export function sharedHeapsSuite(crew: Crew): void {
  const locked = (...names: string[]) => ({ error: "ERR_LOCKED", names });

  describe.each(PAIRS)("a heap of %s with workers on %s", (_, theirs, palloc) => {
    it("pages allocated by one are seen and freed by another", async () => {
      const heap = sharedHeap(palloc);
      await withHands(crew, 1, async (hand) => {
        const { handle } = heap;
        const results = await hand.call(
          theirs,
          { handle },
          ["alloc", 5],
          ["free", 0, 3],
          ["engine"],
          ["owner"],
        );
        expect(results).toEqual([3 * PAGE, undefined, theirs, 2]);
      });
      expect(heap.alloc(4)).toBe(8 * PAGE);
      heap.free(3 * PAGE, 5);
      heap.check();
    });

    it("growth by many MiB of metadata is seen by all", async () => {
      const heap = sharedHeap(palloc);
      const { handle } = heap;
      const far = 200_000 * CHUNK;
      await withHands(crew, 1, async (hand) => {
        expect(heap.alloc(600)).toBe(-1);
        await hand.call(
          theirs,
          { handle },
          ["grow", CHUNK, 100_000 * CHUNK],
          ["allocRange", 9999 * CHUNK, 512],
        );
        expect(heap.alloc(9998 * 512)).toBe(3 * PAGE);
        expect(heap.bounds().end).toBe(100_001);
        heap.grow(far, 100_000 * CHUNK);
        expect(await hand.call(theirs, { handle }, ["alloc", 100_000 * 512], ["check"])).toEqual([
          far,
          undefined,
        ]);
      });
      expect(heap.stats().metadata).toBeGreaterThan(20 * 2 ** 20);
      heap.check();
    });

    it("a call that waits too long for the lock names its owner", async () => {
      const heap = sharedHeap(palloc);
      const { handle } = heap;
      await withHands(crew, 2, async (one, two) => {
        await whileHeld(one, heap, async (owner) => {
          const call = () => two.call(theirs, { handle, lockTimeoutMs: 30 }, ["alloc", 1]);
          await rejected(call, locked(`owner ${owner}`, "30 ms", `recover(${owner})`), "alloc");
        });
      });
      expect(heap.alloc(1)).toBe(3 * PAGE);
    });

    it("all waiting calls continue once the lock is free", async () => {
      const heap = sharedHeap(palloc);
      const { handle } = heap;
      await withHands(crew, 3, async (one, ...others) => {
        await whileHeld(one, heap, async (_, letGo) => {
          const signals = others.map(() => new Signals());
          const calls = others.map((hand, i) =>
            hand.call(theirs, { handle, signals: signals[i].words.buffer }, ["alloc", 2], ["alloc", 2]),
          );
          for (const signal of signals) await signal.reached(0, 1);
          letGo();
          const bases = (await Promise.all(calls)).flat() as number[];
          expect(bases.sort((a, b) => a - b)).toEqual([3, 5, 7, 9].map((page) => page * PAGE));
        });
      });
    });

    it("a blocked call continues even if a promise of its thread waits too", async () => {
      const heap = sharedHeap(palloc);
      const lock = new HeapLock(heap.handle);
      await withHands(crew, 1, async (hand) => {
        const signals = new Signals();
        lock.take(heap.owner);
        const { handle } = heap;
        const bases = hand.run("blockBehindPromise", theirs, { handle, signals: signals.words.buffer });
        await signals.reached(0, 1);
        // Time to fall asleep.
        await sleep(20);
        lock.give();
        expect(await bases).toEqual([3 * PAGE, 4 * PAGE]);
      });
      heap.check();
    });

    it("the last owner numbers are given out once each, however many ask at once", async () => {
      const heap = sharedHeap(palloc);
      setOwners(heap, layout.MAX_OWNERS - 4);
      const { handle } = heap;
      await withHands(crew, 2, async (...hands) => {
        const calls = hands.flatMap((hand) =>
          Array.from({ length: 4 }, () => hand.call(theirs, { handle }, ["owner"])),
        );
        const settled = await Promise.allSettled(calls);
        const owners = settled.map((each) =>
          each.status === "fulfilled" ? each.value[0] : each.reason.code,
        );
        const last = [4, 3, 2, 1].map((n) => layout.MAX_OWNERS + 1 - n);
        expect(owners.sort()).toEqual([...last, ...Array(4).fill("ERR_METADATA_FULL")]);
      });
      heap.check();
    });

    it("a hook that does not return blocks nobody", async () => {
      const heap = touchedHeap(palloc, [0, 2], { shared: true });
      heap.resetScavengeAddr();
      const { handle } = heap;
      await withHands(crew, 2, async (slow, other) => {
        const signals = new Signals();
        const options = { handle, signals: signals.words.buffer, hook: "unused", spins: false } as const;
        const released = slow.run("stayInHook", theirs, options);
        await signals.reached(0, 1);
        await other.call(
          theirs,
          { handle },
          ["alloc", 5],
          ["grow", 9 * CHUNK, CHUNK],
          ["scavenge"],
          ["check"],
        );
        heap.free(0, 5);
        signals.set(0, 2);
        expect(await released).toBe(CHUNK);
      });
      expect(heap.stats().released).toBe(3 * CHUNK - 5 * PAGE);
      heap.check();
    });
  });

  describe.each(ENGINES)("a shared heap (%s)", (name, palloc) => {
    const { PageAlloc } = palloc;
    afterEach(() => {
      vi.unstubAllGlobals();
    });

    it("two objects of one thread share it, each with its own owner number", () => {
      const heap = sharedHeap(palloc);
      const other = PageAlloc.attach(heap.handle);
      expect([heap.owner, other.owner]).toEqual([1, 2]);
      const cache = other.allocToCache();
      expect(other.alloc(1)).toBe(64 * PAGE);
      heap.free(64 * PAGE, 1);
      expect(cache.alloc(1)).toBe(3 * PAGE);
      other.dispose();
      expect(heap.stats().inUse).toBe(4 * PAGE);
      expect(() => other.alloc(1)).toThrow(expect.objectContaining({ code: "ERR_DISPOSED" }));
      heap.check();
    });

    it("the last possible owner works like others, and no owner can follow it", async () => {
      const heap = sharedHeap(palloc, { lockTimeoutMs: 20 });
      setOwners(heap, layout.MAX_OWNERS - 1);
      const why = {
        error: "ERR_METADATA_FULL",
        names: [`${layout.MAX_OWNERS} heap objects`, "restore its snapshot"],
      };
      const used = () => {
        refused(() => PageAlloc.attach(heap.handle), why, "attach within a hook");
      };
      const last = PageAlloc.attach(heap.handle, { lockTimeoutMs: 20, sys: { used } });
      expect(last.owner).toBe(layout.MAX_OWNERS);
      const [mine, cache] = [heap.allocToCache(), last.allocToCache()];
      expect([cache.alloc(2), last.alloc(1)]).toEqual([64 * PAGE, 128 * PAGE]);
      await whileLocked(heap, last.owner, async () => {
        const names = [`owner ${layout.MAX_OWNERS} holds it`, `recover(${layout.MAX_OWNERS})`];
        if (crew.platform !== "browser") refused(() => heap.alloc(1), locked(...names), "alloc");
        await rejected(() => heap.allocAsync(1), locked(...names), "allocAsync");
        refused(() => last.alloc(1), locked("another call"), "a call within another");
        heap.recover(layout.MAX_OWNERS);
      });
      expect([cache.empty, mine.empty]).toEqual([true, false]);
      await whileLocked(heap, heap.owner, () =>
        rejected(() => last.allocAsync(1), locked("owner 1 holds it"), "allocAsync"),
      );
      const before = heap.snapshot();
      for (const count of [layout.MAX_OWNERS, 2 ** 30, 2 ** 31 - 1, -(2 ** 31), -1]) {
        setOwners(heap, count);
        for (const { PageAlloc } of [wasm, ts])
          refused(() => PageAlloc.attach(heap.handle), why, `after ${count}`);
        setOwners(heap, layout.MAX_OWNERS);
      }
      sameBytes(heap.snapshot(), before, "state");
      const anew = PageAlloc.restore(before, { shared: true });
      expect([anew.owner, PageAlloc.attach(anew.handle).owner]).toEqual([1, 2]);
      for (const each of [heap, anew]) each.check();
    });

    it("promises wait for the lock", async () => {
      const heap = touchedHeap(palloc, [0], { shared: true });
      heap.alloc(3);
      heap.resetScavengeAddr();
      await withHands(crew, 1, async (hand) => {
        await whileHeld(hand, heap, async (_, letGo) => {
          const settled: string[] = [];
          const note = (name: string) => () => void settled.push(name);
          const grown = heap.callAsync((heap) => heap.grow(CHUNK, CHUNK));
          const calls = [heap.allocAsync(2), heap.freeAsync(0, 1), heap.scavengeAsync(), grown] as const;
          calls.forEach((call, i) => void call.then(note(`call ${i}`)));
          await sleep(20);
          expect(settled).toEqual([]);
          letGo();
          const [base, , released] = await Promise.all(calls);
          expect([0, 3 * PAGE]).toContain(base);
          expect(released).toBeGreaterThanOrEqual(507 * PAGE);
          expect(heap.stats().sys).toBe(2 * CHUNK);
        });
      });
      heap.check();
    });

    it("a waiting promise takes no wake-up from a blocked thread", async () => {
      const heap = sharedHeap(palloc);
      const lock = new HeapLock(heap.handle);
      lock.take(PageAlloc.attach(heap.handle).owner);
      const base = heap.allocAsync(1);
      expect(lock.isWaitedFor).toBe(true);
      expect(lock.give()).toBe(0);
      expect(await base).toBe(3 * PAGE);
      heap.check();
    });

    it("callAsync may call and return promises of the same heap object", async () => {
      const heap = sharedHeap(palloc);
      expect(await heap.callAsync((heap) => heap.allocAsync(2))).toBe(3 * PAGE);
      expect(await heap.callAsync((heap) => heap.callAsync((heap) => heap.alloc(1)))).toBe(5 * PAGE);
      await heap.callAsync((heap) => heap.freeAsync(0, 1));
      expect(await heap.callAsync((heap) => heap.scavengeAsync())).toBe(PAGE);
      expect(heap.stats().inUse).toBe(5 * PAGE);
      heap.check();
    });

    it("promises reject after lockTimeoutMs", async () => {
      const heap = sharedHeap(palloc, { lockTimeoutMs: 20 });
      await withHands(crew, 1, async (hand) => {
        await whileHeld(hand, heap, async (owner) => {
          const refusal = locked(`owner ${owner}`, "20 ms", `recover(${owner})`);
          await rejected(() => heap.allocAsync(1), refusal, "allocAsync");
          await rejected(() => heap.freeAsync(0, 1), refusal, "freeAsync");
          await rejected(() => heap.scavengeAsync(), refusal, "scavengeAsync");
          await rejected(() => heap.callAsync(() => heap.grow(CHUNK, CHUNK)), refusal, "callAsync");
        });
      });
      expect(heap.stats().inUse).toBe(3 * PAGE);
      heap.check();
    });

    it("a call that cannot wait names the calls that can", async () => {
      const heap = sharedHeap(palloc, { lockTimeoutMs: 20 });
      const names = crew.platform === "browser" ? ["allocAsync", "freeAsync", "scavengeAsync"] : ["20 ms"];
      await withHands(crew, 1, async (hand) => {
        await whileHeld(hand, heap, async () => {
          refused(() => heap.alloc(1), locked(...names), "alloc");
          refused(() => heap.free(0, 1), locked(...names), "free");
          refused(() => heap.stats(), locked(...names), "stats");
        });
      });
      expect(heap.stats().inUse).toBe(3 * PAGE);
    });

    it("a page cache keeps its pages if the lock is unavailable before its hook", () => {
      const other = sharedHeap(palloc);
      const heap = PageAlloc.attach(other.handle, { lockTimeoutMs: 20, sys: { used() {} } });
      const cache = heap.allocToCache();
      const before = heap.snapshot();
      const words = [cache.cache, cache.scav];
      const lock = new HeapLock(heap.handle);
      lock.take(other.owner);
      refused(() => cache.alloc(2), locked(), "alloc");
      lock.give();
      expect([cache.cache, cache.scav]).toEqual(words);
      sameBytes(heap.snapshot(), before, "snapshot");
      expect(cache.alloc(2)).toBe(3 * PAGE);
      heap.check();
    });

    it.each<[string, (heap: PageAlloc) => unknown]>([
      ["alloc", (heap) => heap.alloc(2)],
      ["allocRange", (heap) => heap.allocRange(20 * PAGE, 2)],
    ])("if the lock is unavailable after the hook of %s, nothing is allocated", (_, call) => {
      const { heap, lock, hook } = heapThatLosesTheLock(palloc);
      heap.scavengeRange(0, 512);
      const before = visible(heap);
      hook.armed = true;
      refused(() => call(heap), locked(), "call");
      lock.give();
      expect(visible(heap)).toEqual(before);
      heap.check();
      heap.dispose();
    });

    it("if the lock is unavailable after the hook of a page cache, the cache keeps its pages", () => {
      const { heap, lock, hook } = heapThatLosesTheLock(palloc);
      heap.scavengeRange(0, 512);
      const cache = heap.allocToCache();
      const before = visible(heap);
      hook.armed = true;
      refused(() => cache.alloc(2), locked(), "alloc");
      lock.give();
      expect(visible(heap)).toEqual(before);
      expect([cache.cache, cache.scav]).toEqual([2n ** 64n - 1n, 2n ** 64n - 1n]);
      heap.check();
      heap.dispose();
    });

    it.each<[string, (heap: PageAlloc) => Promise<unknown>]>([
      ["scavengeOne", async (heap) => heap.scavengeOne()],
      ["scavengeAsync", (heap) => heap.scavengeAsync()],
    ])("if the lock is unavailable after the hook of %s, the pages are free", async (_, call) => {
      const { heap, lock, hook } = heapThatLosesTheLock(palloc);
      hook.armed = true;
      await rejected(() => call(heap), locked(), "call");
      lock.give();
      expect(heap.stats()).toMatchObject({ inUse: 0, released: CHUNK });
      heap.check();
      heap.dispose();
    });

    it("a call within another of the same object is refused at once", async () => {
      const heap = sharedHeap(palloc, { lockTimeoutMs: Infinity });
      const lock = new HeapLock(heap.handle);
      lock.take(heap.owner);
      refused(() => heap.alloc(1), locked("another call"), "alloc");
      await rejected(() => heap.allocAsync(1), locked("another call"), "allocAsync");
      lock.give();
      expect(heap.alloc(1)).toBe(3 * PAGE);
    });

    it("its snapshot equals that of a plain heap after the same calls", () => {
      const heap = new PageAlloc({ shared: true });
      const plain = new wasm.PageAlloc();
      for (const each of [heap, plain]) use(each);
      sameBytes(heap.snapshot(), plain.snapshot(), "snapshot");
    });

    it("it can be made by restore and from", async () => {
      const plain = new PageAlloc();
      use(plain);
      const state = plain.ranges();
      const heaps: [PageAlloc, PageAlloc][] = [
        [PageAlloc.restore(plain.snapshot(), { shared: true }), PageAlloc.restore(plain.snapshot())],
        [PageAlloc.from(state, { shared: true }), PageAlloc.from(state)],
      ];
      for (const [heap, same] of heaps) {
        sameBytes(heap.snapshot(), same.snapshot(), "snapshot");
        heap.check();
        const next = same.alloc(40);
        await withHands(crew, 1, async (hand) => {
          const { handle } = heap;
          expect(await hand.call("ts", { handle }, ["alloc", 40], ["check"])).toEqual([next, undefined]);
        });
        sameBytes(heap.snapshot(), same.snapshot(), "snapshot after a call elsewhere");
      }
    });

    it("it does not grow beyond metadataLimit", () => {
      const heap = new PageAlloc({ shared: true, metadataLimit: 2 ** 16 });
      heap.grow(0, 400 * CHUNK);
      refused(
        () => heap.grow(CHUNK * 1000, 400 * CHUNK),
        { error: "ERR_METADATA_FULL", names: ["memory"] },
        "grow",
      );
      heap.check();
      expect(heap.stats().sys).toBe(400 * CHUNK);
    });

    it("leaves its place to the next if its handle was not read, however many there were", () => {
      const round = () => Array.from({ length: 150 }, () => unread(palloc));
      const first = round();
      const before = placesOf(first);
      for (const heap of first) heap.dispose();
      const wrong = { alloc: { 0: [[0, 513]] } } as const;
      for (let k = 0; k < 1000; k++) {
        unread(palloc).dispose();
        expect(() => PageAlloc.from(wrong, { shared: true })).toThrow(RangeError);
      }
      const second = round();
      const after = placesOf(second);
      const same = before.map(([memory, at]) =>
        after.filter((place) => place[0] === memory && place[1] === at),
      );
      expect(same.map((places) => places.length)).toEqual(before.map(() => 1));
      for (const heap of second) heap.dispose();
    });

    it("leaves its place to the next if it does not fit there", () => {
      const options = { shared: true, metadataLimit: 2 ** 16 };
      const large = new PageAlloc();
      large.grow(0, 1000 * CHUNK);
      const snapshot = large.snapshot();
      const heap = grownHeap(palloc, [0], options);
      const before = placesOf([heap]);
      heap.dispose();
      refused(
        () => PageAlloc.restore(snapshot, options),
        { error: "ERR_METADATA_FULL", names: [] },
        "restore",
      );
      expect(placesOf([grownHeap(palloc, [0], options)])).toEqual(before);
    });

    it("sees nothing of the heap that had its place before", () => {
      const old = unread(palloc);
      use(old);
      const bytes = old.stats().metadata;
      const before = placesOf([old]);
      old.dispose();
      const heap = unread(palloc);
      expect(placesOf([heap])).toEqual(before);
      const plain = grownHeap(palloc, [0]);
      sameBytes(heap.snapshot(), plain.snapshot(), "snapshot");
      const [[memory, at]] = before;
      const used = heap.stats().metadata;
      expect(new Uint8Array(memory, at + used, bytes - used).every((byte) => byte === 0)).toBe(true);
      for (const each of [heap, plain]) use(each);
      sameBytes(heap.snapshot(), plain.snapshot(), "snapshot after the same calls");
      heap.check();
    });

    it("keeps its place for good once its handle was read", () => {
      const heap = sharedHeap(palloc);
      const { handle } = heap;
      const other = PageAlloc.attach(handle);
      const lent = other.handle;
      other.dispose();
      heap.dispose();
      PageAlloc.attach(lent).dispose();
      const others = Array.from({ length: 200 }, () => unread(palloc));
      const again = PageAlloc.attach(handle);
      expect([again.owner, again.alloc(1)]).toEqual([4, 3 * PAGE]);
      const [[memory, at]] = placesOf([again]);
      expect(placesOf(others).filter((place) => place[0] === memory && place[1] === at)).toEqual([]);
      for (const each of others) each.dispose();
    });

    it("cannot be attached to once it is gone", () => {
      const heap = unread(palloc);
      const [[memory, at]] = placesOf([heap]);
      const attach = () => ts.PageAlloc.attach({ memory: memory as SharedArrayBuffer, at, bytes: 2 ** 26 });
      expect(attach().owner).toBe(2);
      heap.dispose();
      refused(attach, { error: TypeError, names: ["handle"] }, "attach");
    });

    it("leaves its place once if disposed during PageAlloc.from", () => {
      const made: PageAlloc[] = [];
      class Early extends PageAlloc {
        constructor(options?: ConstructorParameters<typeof PageAlloc>[0]) {
          super(options);
          made.push(this);
        }
      }
      const state = {
        alloc: {
          get 0() {
            made[0].dispose();
            return [];
          },
        },
      };
      expect(() => Early.from(state, { shared: true })).toThrow(
        expect.objectContaining({ code: "ERR_DISPOSED" }),
      );
      const [one, two] = placesOf([unread(palloc), unread(palloc)]);
      expect(one).not.toEqual(two);
    });

    it("recover refuses all but the owner number of another object", () => {
      const heap = sharedHeap(palloc);
      const { owner } = PageAlloc.attach(heap.handle);
      const recover = (value: unknown) => () => heap.recover(value as number);
      for (const value of NOT_NUMBERS)
        refused(recover(value), { error: TypeError, names: ["owner"] }, "recover");
      for (const value of [0, -1, 1.5, NaN, heap.owner, owner + 1, Infinity]) {
        refused(recover(value), { error: RangeError, names: ["owner", String(value)] }, `recover(${value})`);
      }
      heap.recover(owner);
      heap.check();
    });

    it("page caches of a recovered object that still works are empty", () => {
      const heap = sharedHeap(palloc);
      const other = PageAlloc.attach(heap.handle);
      const [cache, idle] = [other.allocToCache(), other.allocToCache()];
      expect(cache.alloc(3)).toBe(3 * PAGE);
      heap.recover(other.owner);
      expect(heap.stats().inUse).toBe(6 * PAGE);
      expect([cache.empty, cache.base, cache.alloc(1)]).toEqual([true, -1, -1]);
      const mine = heap.allocToCache();
      expect([idle.empty, idle.base, idle.alloc(1)]).toEqual([true, -1, -1]);
      idle.flush();
      heap.check();
      expect(mine.alloc(1)).toBe(6 * PAGE);
      expect(cache.refill()).toBe(true);
      expect(cache.alloc(1)).toBe(64 * PAGE);
      heap.check();
      cache.flush();
      heap.check();
      other.dispose();
      mine.flush();
      expect(heap.stats().inUse).toBe(8 * PAGE);
      heap.check();
    });

    it.each([
      ["", false],
      [" and that is refilled", true],
    ])("a page cache%s whose object is recovered while its hook runs gets no pages back", (_, refills) => {
      const heap = touchedHeap(palloc, [0], { shared: true });
      heap.scavengeRange(0, 512);
      const whim = new Error("a hook's whim");
      const used = () => {
        heap.recover(other.owner);
        if (refills) cache.refill();
        throw whim;
      };
      const other = PageAlloc.attach(heap.handle, { sys: { used } });
      const cache = other.allocToCache();
      expect(() => cache.alloc(2)).toThrow(whim);
      expect(cache.cache).toBe(refills ? 2n ** 64n - 1n : 0n);
      expect(heap.stats().inUse).toBe(refills ? 64 * PAGE : 0);
      heap.check();
    });

    it("pages declined by the hook of one object are skipped by others until the next reset", () => {
      const heap = touchedHeap(palloc, [0], { shared: true, physHugePageSize: 0 });
      let declines = 1;
      const unused = () => declines-- <= 0;
      const declining = PageAlloc.attach(heap.handle, { sys: { unused } });
      heap.resetScavengeAddr();
      expect([declining.scavengeOne(PAGE), heap.scavengeOne(PAGE)]).toEqual([PAGE, PAGE]);
      expect(heap.ranges().scavenged[0]).toEqual([[509, 2]]);
      heap.resetScavengeAddr();
      heap.scavengeOne(PAGE);
      expect(heap.ranges().scavenged[0]).toEqual([[509, 3]]);
    });

    it("a promise of a disposed object rejects, even while the lock is held", async () => {
      const other = sharedHeap(palloc);
      const heap = PageAlloc.attach(other.handle, { lockTimeoutMs: 20 });
      heap.dispose();
      const lock = new HeapLock(other.handle);
      lock.take(other.owner);
      const gone = { error: "ERR_DISPOSED", names: [] };
      await rejected(() => heap.allocAsync(1), gone, "allocAsync");
      await rejected(() => heap.freeAsync(0, 1), gone, "freeAsync");
      await rejected(() => heap.scavengeAsync(), gone, "scavengeAsync");
      await rejected(() => heap.callAsync(() => 7), gone, "callAsync");
      lock.give();
    });

    it("a heap that is not shared has no handle and no recover", () => {
      const heap = new PageAlloc();
      const refusal = { error: "ERR_NOT_SHARED", names: ["shared: true"] };
      refused(() => heap.handle, refusal, "handle");
      refused(() => heap.recover(1), refusal, "recover");
    });

    it("attach refuses what is not a handle", () => {
      const { memory, at, bytes } = sharedHeap(palloc).handle;
      const wrong: unknown[] = [
        ...NOT_OBJECTS,
        undefined,
        {},
        new PageAlloc(),
        new Int32Array(4),
        { memory: {}, at, bytes },
        { memory: new ArrayBuffer(2 ** 20), at, bytes },
        { memory, at: at + 4, bytes },
        { memory, at: 0, bytes },
        { memory, at: -at, bytes },
        { memory, at: at + 16, bytes },
        { memory, at: "65536", bytes },
        { memory, at: at + 2 ** 32, bytes },
        { memory, at, bytes: 1.5 },
        { memory, at, bytes: -1 },
        { memory, at, bytes: 0 },
        { memory, at, bytes: bytes - 2 ** 16 },
        { memory, at, bytes: bytes + 2 ** 16 },
        { memory, at, bytes: bytes + 2 ** 32 },
        { memory, at, bytes: 2 ** 31 },
        { memory, at: 2 ** 31, bytes },
        { memory: new SharedArrayBuffer(2 ** 17), at: 2 ** 16, bytes },
      ];
      wrong.forEach((handle, i) => {
        refused(
          () => PageAlloc.attach(handle as never),
          { error: TypeError, names: ["handle"] },
          `handle ${i}`,
        );
      });
    });

    it.each([0, 1, layout.VERSION - 1, layout.VERSION + 1, 2 ** 32 - 1])(
      "a handle of layout version %i is refused by its version",
      (version) => {
        const { handle } = new PageAlloc({ shared: true });
        const { memory, at } = handle;
        const words = new Int32Array("buffer" in memory ? memory.buffer : memory);
        words[(at + layout.HEADER_VERSION) >>> 2] = version;
        const names = [`handle has layout version ${version}; this palloc reads version ${layout.VERSION}`];
        refused(() => PageAlloc.attach(handle), { error: TypeError, names }, "attach");
      },
    );

    it("attach copies the handle", () => {
      const handle = { ...new PageAlloc({ shared: true }).handle };
      const heap = PageAlloc.attach(handle);
      const before = { ...handle };
      handle.at += 16;
      expect(heap.handle).toEqual(before);
    });

    const attach = (given: never) => PageAlloc.attach(sharedHeap(palloc).handle, given);
    takerTests([["attach", "options", { lockTimeoutMs: 1, sys: {} }, attach]]);

    it("attach of a subclass ignores the options that its constructor passes on", () => {
      class Mine extends PageAlloc {
        constructor() {
          super({ pageSize: 4096 });
        }
      }
      const heap = sharedHeap(palloc);
      const other = Mine.attach(heap.handle);
      expect([other.pageSize, other.owner, other.alloc(1)]).toEqual([PAGE, 2, 3 * PAGE]);
    });

    it("it is refused in a page that is not isolated, and the error says what to do", () => {
      const names = ["Cross-Origin-Opener-Policy: same-origin", "Cross-Origin-Embedder-Policy: require-corp"];
      vi.stubGlobal("crossOriginIsolated", false);
      const make = () => new PageAlloc({ shared: true });
      refused(make, { error: "ERR_NOT_ISOLATED", names }, "in a page without the headers");
      vi.unstubAllGlobals();
      vi.stubGlobal("SharedArrayBuffer", undefined);
      refused(make, { error: "ERR_NOT_ISOLATED", names }, "without SharedArrayBuffer");
      vi.unstubAllGlobals();
      expect(make().engine).toBe(name);
    });
  });

  describe("without WebAssembly", () => {
    it("a shared heap uses a growable SharedArrayBuffer, for palloc/ts only", async () => {
      await withHands(crew, 1, async (hand) => {
        const handle = await hand.run("withoutWebAssembly", "ts", null);
        expect(handle.memory).toBeInstanceOf(SharedArrayBuffer);
        const heap = ts.PageAlloc.attach(handle);
        expect(heap.alloc(1)).toBe(3 * PAGE);
        heap.grow(CHUNK, 50_000 * CHUNK);
        expect(await hand.call("ts", { handle }, ["alloc", 50_000 * 512], ["check"])).toEqual([
          4 * PAGE,
          undefined,
        ]);
        heap.check();
        const attach = () => wasm.PageAlloc.attach(handle);
        refused(attach, { error: TypeError, names: ["handle", "palloc/ts/shared"] }, "attach on wasm");
      });
    });
  });
}
