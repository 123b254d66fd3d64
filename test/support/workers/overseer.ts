// An overseer: it puts actors to work on one heap, ends some of them, recovers what they leave, and compares what the
// heap says with what the actors have written down.
import type { PageAllocStats } from "palloc/shared";
import { PAGES } from "../naive.ts";
import { same } from "../same.ts";
import type { PageAlloc, Palloc } from "../subject.ts";
import type { Role } from "./actor.ts";
import {
  ALLOCS,
  Board,
  FIRST_CHUNKS,
  FREES,
  INTENT,
  Intent,
  Kind,
  NPAGES,
  OWNER,
  PAGE,
  SCAVENGED,
  SCAVENGES,
  stampOf,
  TALLIES,
} from "./board.ts";
import type { EngineName, Hand } from "./crew.ts";
import { HeapLock } from "./heap-lock.ts";
import { until } from "./signals.ts";

/** A hand at work. */
interface Actor {
  readonly hand: Hand;
  readonly slot: number;
  /** Resolves once it has given back all that it owned. */
  readonly done: Promise<void>;
}

/** What an actor that has been ended has left. */
interface Estate {
  readonly owner: number;
  readonly intent: number;
  readonly page: number;
  readonly npages: number;
  /** Pages that were in its cache. */
  cached: number;
}

/** In what state actors were when they were ended. */
export class Findings {
  deaths = 0;
  /** In a call that gets or gives pages or chunks, or just before or after it. */
  inCalls = 0;
  withLock = 0;
  withJournal = 0;
}

export class Overseer {
  readonly heap: PageAlloc;
  readonly board = new Board();
  readonly findings: Findings;
  readonly #lock: HeapLock;
  #seed: number;
  #actors: Actor[] = [];
  readonly #slots: boolean[] = [];
  /** What an actor has thrown. */
  #failed: unknown;
  /** What the heap has counted that no actor of now has. */
  readonly #counted = new Map<number, number>(TALLIES.map((tally) => [tally, 0]));

  constructor({ PageAlloc }: Palloc, seed: number, findings = new Findings()) {
    this.#seed = seed * 1_000_000;
    this.findings = findings;
    this.heap = new PageAlloc({ shared: true, lockTimeoutMs: 60_000 });
    this.#lock = new HeapLock(this.heap.handle);
    this.board.limitChunks(FIRST_CHUNKS);
    this.heap.grow(this.board.takeChunks(FIRST_CHUNKS), FIRST_CHUNKS * this.heap.chunkBytes);
  }

  /** Puts a hand to work. */
  engage(hand: Hand, engine: EngineName, role: Role): void {
    const free = this.#slots.indexOf(false);
    const slot = free < 0 ? this.#slots.length : free;
    this.#slots[slot] = true;
    this.board.actor(slot).fill(0);
    const seed = ++this.#seed;
    const { handle } = this.heap;
    const task = { handle, board: this.board.memory, slot, role, seed, used: seed % 4 === 0 };
    const done = hand.run("act", engine, task);
    done.catch((error) => {
      this.#failed ??= error;
    });
    this.#actors.push({ hand, slot, done });
  }

  /** Resolves once `test` holds, unless an actor fails. */
  async until(test: () => boolean): Promise<void> {
    await until(() => this.#failed !== undefined || test());
    if (this.#failed) throw this.#failed;
  }

  /** Lets the actors stand still, compares, and lets them go on. */
  async inspect(): Promise<void> {
    await this.#pause();
    this.#compare();
    this.board.resume();
  }

  /** Ends an actor, recovers, and compares; then frees what it owned. */
  async endOne(at: number): Promise<void> {
    const [{ hand, slot }] = this.#actors.splice(at, 1);
    await hand.kill();
    const words = this.board.actor(slot);
    const owner = words[OWNER];
    this.#note(owner, words[INTENT]);
    const estate = { owner, intent: words[INTENT], page: words[PAGE], npages: words[NPAGES], cached: 0 };
    // Before others can get the pages.
    this.#dropClaims(estate);
    if (owner) this.heap.recover(owner);
    await this.#pause();
    this.#compare(estate);
    for (const tally of TALLIES) this.#count(tally, words[tally]);
    words.fill(0);
    this.#slots[slot] = false;
    this.board.resume();
  }

  /** Lets the actors give back all that they own, and compares. Returns what the heap says of itself then. */
  async finish(): Promise<PageAllocStats> {
    this.board.stop();
    let left = this.#actors.length;
    for (const { done } of this.#actors)
      done.then(
        () => left--,
        () => {},
      );
    await this.until(() => !left);
    this.#compare();
    const stats = this.heap.stats();
    same(stats.inUse, 0, "bytes in use at the end");
    this.heap.dispose();
    return stats;
  }

  /** Ends all actors, whatever they are doing. */
  async dismiss(): Promise<void> {
    await Promise.all(this.#actors.map(({ hand }) => hand.kill()));
  }

  #note(owner: number, intent: number): void {
    this.findings.deaths++;
    if (intent) this.findings.inCalls++;
    if (!owner || this.#lock.holder !== owner) return;
    this.findings.withLock++;
    if (this.#lock.journalOpen) this.findings.withJournal++;
  }

  async #pause(): Promise<void> {
    this.board.pause();
    await this.until(() => this.#actors.every(({ slot }) => this.board.isParked(slot)));
  }

  #count(tally: number, more: number): void {
    this.#counted.set(tally, (this.#counted.get(tally) ?? 0) + more);
  }

  /** Throws unless heap and board agree, as far as they can after an actor was ended in mid-call. All stand still. */
  #compare(estate?: Estate): void {
    this.heap.check();
    const strays = this.#strays();
    if (estate) this.#checkCut(estate, strays);
    else same(strays, [], "pages in use that nobody has");
    this.#compareCounts(estate);
    if (estate) this.#freeAll(estate, strays);
  }

  /** Takes the stamps of one that has been ended off pages that it may not have, or have no more. */
  #dropClaims(estate: Estate): void {
    const { owner, intent, page, npages } = estate;
    const { stamps } = this.board;
    const pages = this.board.chunks * PAGES;
    for (let at = 0; at < pages; at++) {
      if (stamps[at] === stampOf(owner, Kind.cached)) estate.cached++;
      else if (stamps[at] !== stampOf(owner, Kind.inHook)) continue;
      stamps[at] = 0;
    }
    if (page < 0 || (intent !== Intent.alloc && intent !== Intent.free)) return;
    for (let at = page; at < page + npages; at++) if (stamps[at] === stampOf(owner, Kind.own)) stamps[at] = 0;
  }

  /** The pages in use that have no stamp. Throws if there are any that have one and are free. */
  #strays(): number[] {
    const { stamps } = this.board;
    const inUse = new Uint8Array(this.board.chunks * PAGES);
    for (const [chunk, ranges] of Object.entries(this.heap.ranges().alloc)) {
      for (const [first, count] of ranges) {
        const at = Number(chunk) * PAGES + first;
        inUse.fill(1, at, at + count);
      }
    }
    const strays: number[] = [];
    for (let at = 0; at < inUse.length; at++) {
      if (inUse[at] && !stamps[at]) strays.push(at);
      else if (!inUse[at] && stamps[at])
        throw new Error(`page ${at} is free, and has the stamp ${stamps[at]}`);
    }
    return strays;
  }

  /** Throws unless the call that was cut short has had all of its effect, or none. */
  #checkCut({ intent, page, npages }: Estate, strays: number[]): void {
    if (strays.length) {
      const takes = intent === Intent.alloc || intent === Intent.free;
      const first = page < 0 ? strays[0] : page;
      const all = takes ? Array.from({ length: npages }, (_, i) => first + i) : [];
      same(strays, all, `pages in use after a call was cut short, intent ${intent}`);
    }
    if (intent !== Intent.grow) return;
    const [from, to] = [page, page + npages].map((at) => at * this.heap.pageSize);
    let mapped = 0;
    for (const [base, limit] of this.heap.mappedRanges())
      mapped += Math.max(0, Math.min(to, limit) - Math.max(from, base));
    if (mapped) same(mapped, to - from, "bytes mapped after a growth was cut short");
  }

  /** Throws unless the heap has counted what the actors have, and at most one call more that was cut short. */
  #compareCounts(estate?: Estate): void {
    const stats = this.heap.stats();
    const counts = new Map([
      [ALLOCS, stats.allocs],
      [FREES, stats.frees],
      [SCAVENGES, stats.scavenges],
      [SCAVENGED, stats.scavengedTotal / this.heap.pageSize],
    ]);
    for (const [tally, count] of counts) {
      const noted = this.#slots.reduce((sum, _, slot) => sum + this.board.actor(slot)[tally], 0);
      const more = count - noted - (this.#counted.get(tally) ?? 0);
      const [least, most] = estate ? beyond(tally, estate) : [0, 0];
      if (more < least || more > most) {
        const what = `tally ${tally}, intent ${estate?.intent}, ${estate?.cached} pages cached`;
        throw new Error(
          `the heap has counted ${more} more than its users, want ${least} to ${most}: ${what}`,
        );
      }
      this.#count(tally, more);
    }
  }

  /** Frees the pages of one that has been ended. */
  #freeAll({ owner }: Estate, strays: number[]): void {
    const { stamps } = this.board;
    const mine = stampOf(owner, Kind.own);
    for (const at of strays) stamps[at] = mine;
    const pages = this.board.chunks * PAGES;
    for (let at = 0; owner && at < pages; at++) {
      if (stamps[at] !== mine) continue;
      const first = at;
      while (at < pages && stamps[at] === mine) stamps[at++] = 0;
      this.heap.free(first * this.heap.pageSize, at - first);
      this.#count(FREES, 1);
    }
  }
}

/** How much the heap may have counted that one who has been ended has not noted: the least, and the most. */
function beyond(tally: number, { intent, cached }: Estate): [least: number, most: number] {
  const { alloc, free, cache, scavenge } = Intent;
  if (tally === ALLOCS) return [0, intent === alloc || intent === cache ? 1 : 0];
  if (tally === SCAVENGES) return [0, intent === scavenge ? 1 : 0];
  if (tally === SCAVENGED) return [0, intent === scavenge ? 2 * PAGES : 0];
  // Recovery has flushed its cache, if that was not empty.
  const flushed = cached && intent !== alloc && intent !== cache ? 1 : 0;
  return [flushed, (cached || intent === cache ? 1 : 0) + (intent === free ? 1 : 0)];
}
