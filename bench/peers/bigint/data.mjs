// One chunk: two bitmaps of 512 pages, eight words each, and their kernels.
import { fillAligned, leadingZeros, not, ONES, ones, onesCount, trailingZeros } from "./words.mjs";

export const CHUNK_PAGES = 512;
const WORDS = CHUNK_PAGES / 64;

/** 512 bits; bit i belongs to page i. */
class PageBits {
  constructor(words = new BigUint64Array(WORDS)) {
    this.words = words;
  }

  /** Calls visit(word index, mask) for each word that pages [i, i + n) touch. */
  #eachWord(i, n, visit) {
    for (let at = i; at < i + n; ) {
      const count = Math.min(64 - (at % 64), i + n - at);
      visit(Math.floor(at / 64), ones(at % 64, count));
      at += count;
    }
  }

  setRange(i, n) {
    this.#eachWord(i, n, (word, mask) => {
      this.words[word] |= mask;
    });
  }

  clearRange(i, n) {
    this.#eachWord(i, n, (word, mask) => {
      this.words[word] &= not(mask);
    });
  }

  popcntRange(i, n) {
    let count = 0;
    this.#eachWord(i, n, (word, mask) => {
      count += onesCount(this.words[word] & mask);
    });
    return count;
  }
}

/** Returns where n ones in a row start in x; 64 if nowhere. */
function findBitRange64(x, n) {
  let at = 0;
  for (let rest = x; rest !== 0n; ) {
    const zeros = trailingZeros(rest);
    rest >>= BigInt(zeros);
    at += zeros;
    const run = trailingZeros(not(rest));
    if (run >= n) return at;
    rest >>= BigInt(run);
    at += run;
  }
  return 64;
}

/** Returns the length of the longest run of ones in x. */
function longestRun(x) {
  let longest = 0;
  for (let rest = x; rest !== 0n; ) {
    rest >>= BigInt(trailingZeros(rest));
    const run = trailingZeros(not(rest));
    longest = Math.max(longest, run);
    rest >>= BigInt(run);
  }
  return longest;
}

/** One chunk: which pages are in use, and which free ones are scavenged. */
export class PallocData {
  constructor(alloc = new BigUint64Array(WORDS), scavenged = new BigUint64Array(WORDS)) {
    this.alloc = new PageBits(alloc);
    this.scavenged = new PageBits(scavenged);
  }

  allocRange(i, n) {
    this.alloc.setRange(i, n);
    this.scavenged.clearRange(i, n);
  }

  freeRange(i, n) {
    this.alloc.clearRange(i, n);
  }

  /** Returns the first run of npages free pages, from the word of searchIdx on, and the first free page seen. */
  find(npages, searchIdx) {
    let first = -1;
    let run = 0;
    for (let word = Math.floor(searchIdx / 64); word < WORDS; word++) {
      const used = this.alloc.words[word];
      if (used === ONES) {
        run = 0;
        continue;
      }
      if (first < 0) first = word * 64 + trailingZeros(not(used));
      if (run + trailingZeros(used) >= npages) return { index: word * 64 - run, searchIdx: first };
      const within = npages <= 64 ? findBitRange64(not(used), npages) : 64;
      if (within < 64) return { index: word * 64 + within, searchIdx: first };
      run = used === 0n ? run + 64 : leadingZeros(used);
    }
    return { index: -1, searchIdx: first };
  }

  summarize() {
    let start = -1;
    let max = 0;
    let run = 0;
    for (const used of this.alloc.words) {
      if (used === 0n) {
        run += 64;
        continue;
      }
      run += trailingZeros(used);
      if (start < 0) start = run;
      max = Math.max(max, run, longestRun(not(used)));
      run = leadingZeros(used);
    }
    return { start: start < 0 ? CHUNK_PAGES : start, max: Math.max(max, run), end: run };
  }

  /** Returns a word that has a 0 for each page of a candidate. */
  #filled(word, min) {
    return fillAligned(this.alloc.words[word] | this.scavenged.words[word], min);
  }

  hasScavengeCandidate(min) {
    for (let word = WORDS - 1; word >= 0; word--) {
      if (this.#filled(word, min) !== ONES) return true;
    }
    return false;
  }

  findScavengeCandidate(searchIdx, min, max, pagesPerHugePage = 0) {
    let word = Math.floor(searchIdx / 64);
    while (word >= 0 && this.#filled(word, min) === ONES) word--;
    if (word < 0) return { start: 0, npages: 0 };

    const filled = this.#filled(word, min);
    const above = leadingZeros(not(filled));
    const end = word * 64 + 64 - above;
    const below = (filled << BigInt(above)) & ONES;
    let run = below === 0n ? 64 - above : leadingZeros(below);
    if (below === 0n) {
      for (let next = word - 1; next >= 0; next--) {
        const zeros = leadingZeros(this.#filled(next, min));
        run += zeros;
        if (zeros < 64) break;
      }
    }
    return cut(end, run, Math.max(min, Math.ceil(max / min) * min), pagesPerHugePage);
  }
}

/** Cuts the run of `run` pages that ends before `end` to max from below, but keeps a huge page whole. */
function cut(end, run, max, pagesPerHugePage) {
  let start = end - Math.min(run, max);
  if (pagesPerHugePage > 0) {
    const hugeAbove = Math.ceil(start / pagesPerHugePage) * pagesPerHugePage;
    const hugeBelow = Math.floor(start / pagesPerHugePage) * pagesPerHugePage;
    if (hugeAbove <= end && hugeBelow >= end - run) start = hugeBelow;
  }
  return { start, npages: end - start };
}
