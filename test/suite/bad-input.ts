// Bad input: every argument of every public call, with every kind of wrong value. Each is refused with an error of the
// right class whose message names the argument and the value, and the state is byte for byte as it was.
import { describe, expect, it } from "vitest";
import { hexOf } from "../support/bitmaps.ts";
import { CHUNK, PAGE, SPACE } from "../support/heaps.ts";
import { PAGES } from "../support/naive.ts";
import {
  NOT_BIGINTS,
  NOT_COUNTS,
  NOT_NUMBERS,
  NOT_OBJECTS,
  printed,
  type Refusal,
  refused,
  rejected,
} from "../support/refusals.ts";
import { sameBytes } from "../support/same.ts";
import type { PageAlloc, PageCache, Palloc, PallocData, Subject } from "../support/subject.ts";

const SPACE_PAGES = SPACE / PAGE;

/** What calls are made on. */
interface Bench {
  heap: PageAlloc;
  cache: PageCache;
  data: PallocData;
}
/** One argument of one call. */
interface Argument {
  call: string;
  name: string;
  /** Makes the call with this value for the argument, and good values for all others. */
  make: (bench: Bench, value: never) => unknown;
  /** Values of the wrong type. */
  types: readonly unknown[];
  /** Values of the right type out of range. */
  ranges: readonly unknown[];
}

const withoutUndefined = (values: readonly unknown[]) => values.filter((value) => value !== undefined);

/** An argument that is a number, from `least` to `most`. */
function count(call: string, name: string, make: Argument["make"], least: number, most: number): Argument {
  const ranges = [...NOT_COUNTS, Infinity, most + 1, ...(least > 0 ? [0, least - 1] : [])];
  return { call, name, make, types: NOT_NUMBERS, ranges };
}

/** An argument that is a power of two from `least` to `most`. */
function power(call: string, name: string, make: Argument["make"], least: number, most: number): Argument {
  const ranges = [...NOT_COUNTS, Infinity, 0, 3, least * 3, most * 2, ...(least > 1 ? [least / 2] : [])];
  return { call, name, make, types: NOT_NUMBERS, ranges };
}

/** The argument, where it may be left out. */
const optional = (argument: Argument): Argument => ({ ...argument, types: withoutUndefined(argument.types) });

/** The argument, where these values are fine too. */
const allowing = (argument: Argument, ...values: unknown[]): Argument => ({
  ...argument,
  types: argument.types.filter((value) => !values.includes(value)),
  ranges: argument.ranges.filter((value) => !values.includes(value)),
});

const heapArguments: Argument[] = [
  count("grow", "base", ({ heap }, v) => heap.grow(v, CHUNK), 0, SPACE - 1),
  count("grow", "nbytes", ({ heap }, v) => heap.grow(9 * CHUNK, v), 1, SPACE - 9 * CHUNK),
  count("unmap", "base", ({ heap }, v) => heap.unmap(v, CHUNK), 0, SPACE - 1),
  count("unmap", "nbytes", ({ heap }, v) => heap.unmap(9 * CHUNK, v), 1, SPACE - 9 * CHUNK),
  count("alloc", "npages", ({ heap }, v) => heap.alloc(v), 1, SPACE_PAGES),
  optional(power("alloc", "align", ({ heap }, v) => heap.alloc(1, { align: v }), 1, 2 ** 20)),
  {
    call: "alloc",
    name: "options",
    make: ({ heap }, v) => heap.alloc(1, v),
    types: [...NOT_OBJECTS, 2, []],
    ranges: [],
  },
  count("allocRange", "npages", ({ heap }, v) => heap.allocRange(CHUNK + 300 * PAGE, v), 1, SPACE_PAGES),
  count("scavengeRange", "npages", ({ heap }, v) => heap.scavengeRange(CHUNK, v), 1, SPACE_PAGES),
  count("free", "npages", ({ heap }, v) => heap.free(CHUNK, v), 1, SPACE_PAGES),
  optional(
    allowing(
      count("scavenge", "nbytes", ({ heap }, v) => heap.scavenge(v), 0, Infinity),
      Infinity,
    ),
  ),
  optional(
    allowing(
      count("scavengeOne", "maxBytes", ({ heap }, v) => heap.scavengeOne(v), 0, Infinity),
      Infinity,
    ),
  ),
  count("chunk", "index", ({ heap }, v) => heap.chunk(v), 0, SPACE / CHUNK - 1),
  count("PageCache.alloc", "npages", ({ cache }, v) => cache.alloc(v), 1, SPACE_PAGES),
];
const addressArguments: Argument[] = [
  count("allocRange", "base", ({ heap }, v) => heap.allocRange(v, 1), 0, SPACE - 1),
  count("scavengeRange", "base", ({ heap }, v) => heap.scavengeRange(v, 1), 0, SPACE - 1),
  count("free", "base", ({ heap }, v) => heap.free(v, 1), 0, SPACE - 1),
];

const bitmapArguments = (["alloc", "scavenged"] as const).flatMap((bits): Argument[] => [
  count(`${bits}.get`, "i", ({ data }, v) => data[bits].get(v), 0, PAGES - 1),
  ...(["setRange", "clearRange", "popcntRange"] as const).flatMap((method) => [
    count(`${bits}.${method}`, "i", ({ data }, v) => data[bits][method](v, 1), 0, PAGES - 1),
    count(`${bits}.${method}`, "n", ({ data }, v) => data[bits][method](100, v), 1, PAGES - 100),
  ]),
]);
const chunkArguments: Argument[] = [
  count("allocRange", "i", ({ data }, v) => data.allocRange(v, 1), 0, PAGES - 1),
  count("allocRange", "n", ({ data }, v) => data.allocRange(100, v), 1, PAGES - 100),
  count("freeRange", "i", ({ data }, v) => data.freeRange(v, 1), 0, PAGES - 1),
  count("freeRange", "n", ({ data }, v) => data.freeRange(100, v), 1, PAGES - 100),
  count("find", "npages", ({ data }, v) => data.find(v, 0), 1, PAGES),
  count("find", "searchIdx", ({ data }, v) => data.find(1, v), 0, PAGES - 1),
  power("hasScavengeCandidate", "min", ({ data }, v) => data.hasScavengeCandidate(v), 1, PAGES),
  count(
    "findScavengeCandidate",
    "searchIdx",
    ({ data }, v) => data.findScavengeCandidate(v, 1, 1),
    0,
    PAGES - 1,
  ),
  power("findScavengeCandidate", "min", ({ data }, v) => data.findScavengeCandidate(1, v, 1), 1, PAGES),
  allowing(
    count("findScavengeCandidate", "max", ({ data }, v) => data.findScavengeCandidate(1, 1, v), 0, Infinity),
    Infinity,
  ),
  optional(
    allowing(
      power(
        "findScavengeCandidate",
        "pagesPerHugePage",
        ({ data }, v) => data.findScavengeCandidate(1, 1, 1, v),
        1,
        2 ** 48,
      ),
      0,
    ),
  ),
];

/** Constructors and functions, which have no state to keep. */
const otherArguments = ({ PageAlloc, PageCache, fillAligned }: Palloc): Argument[] => {
  const option = (name: string) => (_: Bench, value: never) => new PageAlloc({ [name]: value });
  const wrong = (name: string, values: readonly unknown[], call = "new PageAlloc"): Argument => ({
    call,
    name,
    make: option(name),
    types: values,
    ranges: [],
  });
  const cacheOf = (state: object) => ({ base: CHUNK + 448 * PAGE, cache: 1n, scav: 0n, ...state });
  const words = [-1n, 2n ** 64n, -(2n ** 63n)];
  return [
    optional(power("new PageAlloc", "pageSize", option("pageSize"), 1, 2 ** 39)),
    optional(power("new PageAlloc", "physPageSize", option("physPageSize"), 1, PAGES * 8192)),
    optional(allowing(power("new PageAlloc", "physHugePageSize", option("physHugePageSize"), 1, 2 ** 48), 0)),
    optional(count("new PageAlloc", "heapAddrBits", option("heapAddrBits"), 32, 48)),
    optional(count("new PageAlloc", "metadataLimit", option("metadataLimit"), 2 ** 16, 2 ** 30)),
    optional(
      allowing(count("new PageAlloc", "lockTimeoutMs", option("lockTimeoutMs"), 0, Infinity), Infinity),
    ),
    wrong("shared", [null, "yes", 1, 0, {}, Object(true)]),
    wrong("sys", [null, "x", 1, () => 1]),
    {
      ...wrong("sys.unused", []),
      make: (_, v) => new PageAlloc({ sys: { unused: v } }),
      types: [null, 1, "f", {}],
    },
    {
      ...wrong("sys.used", []),
      make: (_, v) => new PageAlloc({ sys: { used: v } }),
      types: [null, 1, "f", {}],
    },
    { ...wrong("options", []), make: (_, v) => new PageAlloc(v), types: [null, "x", 1, true, () => 1, []] },
    {
      call: "new PageCache",
      name: "heap",
      make: (_, v) => new PageCache(v, cacheOf({})),
      types: [...NOT_OBJECTS, {}],
      ranges: [],
    },
    {
      call: "new PageCache",
      name: "state",
      make: ({ heap }, v) => new PageCache(heap, v),
      types: [...NOT_OBJECTS, undefined],
      ranges: [],
    },
    count("new PageCache", "base", ({ heap }, base) => new PageCache(heap, cacheOf({ base })), 0, SPACE - 1),
    {
      call: "new PageCache",
      name: "cache",
      make: ({ heap }, cache) => new PageCache(heap, cacheOf({ cache })),
      types: NOT_BIGINTS,
      ranges: words,
    },
    {
      call: "new PageCache",
      name: "scav",
      make: ({ heap }, scav) => new PageCache(heap, cacheOf({ scav })),
      types: NOT_BIGINTS,
      ranges: words,
    },
    { call: "fillAligned", name: "x", make: (_, v) => fillAligned(v, 8), types: NOT_BIGINTS, ranges: words },
    power("fillAligned", "m", (_, v) => fillAligned(1n, v), 1, 64),
  ];
};

export function badInputSuite(subject: Subject): void {
  const { palloc } = subject;

  /** Chunks 1 and 3, with pages 0 to 200 of chunk 1 in use, a cache, and a chunk of its own. */
  const bench = (): Bench => {
    const heap = palloc.PageAlloc.from({
      alloc: {
        1: [
          [0, 200],
          [448, 64],
        ],
        3: [],
      },
      scavenged: { 3: [[0, 99]] },
    });
    const data = new palloc.PallocData();
    data.alloc.setRange(90, 20);
    data.scavenged.setRange(300, 30);
    return { heap, cache: heap.allocToCache(), data };
  };
  /** Throws unless the call is refused and nothing has changed. */
  const unchanged = (on: Bench, call: () => unknown, refusal: Refusal, what: string) => {
    const before = [on.heap.snapshot(), hexOf(on.data.alloc), hexOf(on.data.scavenged)] as const;
    refused(call, refusal, what);
    sameBytes(on.heap.snapshot(), before[0], what);
    expect([hexOf(on.data.alloc), hexOf(on.data.scavenged)]).toEqual(before.slice(1));
  };
  const table = (title: string, args: readonly Argument[]) => {
    describe(title, () => {
      it.each(args.map((argument) => [argument.call, argument.name, argument] as const))(
        "%s: %s",
        (call, name, argument) => {
          const on = bench();
          for (const [error, values] of [
            [TypeError, argument.types],
            [RangeError, argument.ranges],
          ] as const) {
            for (const value of values) {
              const what = `${call} with ${name} = ${printed(value) || typeof value}`;
              unchanged(
                on,
                () => argument.make(on, value as never),
                { error, names: [name, printed(value)] },
                what,
              );
            }
          }
        },
      );
    });
  };

  describe("bad input", () => {
    table("heap", [...heapArguments, ...addressArguments]);
    table("one chunk", [...bitmapArguments, ...chunkArguments]);
    table("constructors and functions", otherArguments(palloc));
    optionsTests(palloc);
    stateTests(palloc, bench, unchanged);
    fromTests(palloc);
    if (subject.shared) promiseTests(bench);
    zeroTests(palloc, bench);
    restoreTests(palloc);
    insideTests(palloc);
    traceTests(subject);
  });
}

/** A call that takes an object apart, what is known of that, and how the call is made. */
type Taker = [call: string, name: string, known: object, take: (given: never) => unknown];

/** Every such call, but those for shared heaps. */
const takers = ({ PageAlloc, PageCache }: Palloc) => {
  const pages = PageAlloc.from({ alloc: { 1: [[0, 512]] } });
  const snapshot = pages.snapshot();
  const sharing = { shared: false, metadataLimit: 2 ** 20, lockTimeoutMs: 1 };
  const geometry = { pageSize: 4096, physPageSize: 4096, physHugePageSize: 0, heapAddrBits: 40 };
  const batch = [new Float64Array(0), new Float64Array(0)] as const;
  return [
    ["new PageAlloc", "options", { ...geometry, ...sharing, sys: {} }, (given) => new PageAlloc(given)],
    [
      "from",
      "options",
      { ...geometry, ...sharing, sys: {} },
      (given) => PageAlloc.from({ alloc: {} }, given),
    ],
    ["restore", "options", { ...sharing, sys: {} }, (given) => PageAlloc.restore(snapshot, given)],
    ["from", "state", { alloc: {}, scavenged: {}, mapped: [] }, (given) => PageAlloc.from(given)],
    ["alloc", "options", { align: 2 }, (given) => pages.alloc(1, given)],
    ["run", "options", { caches: [], grow: false }, (given) => pages.run(...batch, given)],
    ["new PageCache", "state", { base: CHUNK, cache: 0n, scav: 0n }, (given) => new PageCache(pages, given)],
  ] as Taker[];
};

/** That calls take apart no more, and no less, than they know. */
export function takerTests(takers: readonly Taker[]): void {
  it.each(takers)("%s: reads each known property of its %s once", (_, __, known, take) => {
    const reads: PropertyKey[] = [];
    const get = (target: object, key: PropertyKey) => {
      reads.push(key);
      return Reflect.get(target, key);
    };
    take(new Proxy(known, { get }) as never);
    expect(reads.sort()).toEqual(Object.keys(known).sort());
  });

  it.each(takers)(
    "%s: refuses unknown properties of its %s and names the known ones",
    (call, name, known, take) => {
      for (const key of Object.keys(known)) {
        for (const wrong of [
          key.toUpperCase(),
          `${key}s`,
          key.slice(1),
          `${key.slice(0, -2)}${key.at(-1)}${key.at(-2)}`,
        ]) {
          const names = [`${name}.${wrong} is unknown; did you mean ${name}.${key}?`];
          refused(() => take({ ...known, [wrong]: 1 } as never), { error: TypeError, names }, call);
        }
      }
      for (const wrong of ["memory", "__proto__", "x", "toString", ""]) {
        const given = Object.defineProperty({ ...known }, wrong, { value: undefined, enumerable: true });
        const names = [`${name}.${wrong} is unknown; known: ${Object.keys(known).join(", ")}`];
        refused(() => take(given as never), { error: TypeError, names }, call);
      }
    },
  );

  it.each(takers)(
    "%s: ignores unknown properties of its %s that are inherited, not enumerable or symbols",
    (_, __, known, take) => {
      const given = Object.create(known, { memory: { value: 1 } });
      given[Symbol("memory")] = 1;
      take(given as never);
    },
  );
}

function optionsTests(palloc: Palloc): void {
  const { PageAlloc } = palloc;
  takerTests(takers(palloc));

  it("sys: misspelt hooks are refused, other properties are allowed", () => {
    const wrong = { usd: "used", use: "used", unsued: "unused", Unused: "unused", UNUSED_: "unused" };
    for (const [name, meant] of Object.entries(wrong)) {
      const sys = { used() {}, uses: 0, [name]() {} };
      const names = [`options.sys.${name} is unknown; did you mean options.sys.${meant}?`];
      refused(() => new PageAlloc({ sys }), { error: TypeError, names }, name);
    }
    new PageAlloc({ sys: { uses: 0, user: "me", log() {} } as never });
  });

  it("sys: hooks may be methods of a class instance, which is their `this`", () => {
    class System {
      uses = 0;
      readonly log: string[] = [];
      unused(base: number, nbytes: number) {
        this.log.push(`unused ${base} ${nbytes}`);
      }
      used(base: number, nbytes: number) {
        this.uses++;
        this.log.push(`used ${base} ${nbytes}`);
      }
    }
    const sys = new System();
    const heap = PageAlloc.from({ alloc: { 0: [[0, 511]] } }, { sys });
    heap.scavenge();
    heap.alloc(1);
    expect(sys.log).toEqual([`unused ${511 * PAGE} ${PAGE}`, `used ${511 * PAGE} ${PAGE}`]);
  });

  it("sys: hooks are read once for the check, then on every run", () => {
    let reads = 0;
    const sys = {
      get unused() {
        reads++;
        return () => true;
      },
      used: () => {},
    };
    const heap = PageAlloc.from({ alloc: { 0: [[0, 511]] } }, { sys });
    expect(reads).toBe(1);
    const used: number[] = [];
    heap.scavenge();
    sys.used = (...args: number[]) => void used.push(...args);
    heap.alloc(1);
    expect(used).toEqual([511 * PAGE, PAGE]);
  });
}

/** The address of a page. */
const at = (chunk: number, page: number) => chunk * CHUNK + page * PAGE;

type Call = (heap: PageAlloc, PageCache: Palloc["PageCache"]) => unknown;
/**
 * Calls whose arguments are well formed, but that the heap's state does not allow; and the value that is in the way.
 */
type StateCase = [what: string, code: string, value: number, call: Call];

const stateCases: StateCase[] = [
  ["free of a free page", "ERR_NOT_ALLOCATED", at(1, 300), (heap) => heap.free(at(1, 300), 1)],
  [
    "free that runs on over a free page",
    "ERR_NOT_ALLOCATED",
    at(1, 440),
    (heap) => heap.free(at(1, 440), 20),
  ],
  ["free that starts on a free page", "ERR_NOT_ALLOCATED", at(3, 0), (heap) => heap.free(at(3, 0), 2)],
  ["free of a hole", "ERR_NOT_MAPPED", at(2, 5), (heap) => heap.free(at(2, 5), 1)],
  ["free that runs into a hole", "ERR_NOT_MAPPED", at(2, 0), (heap) => heap.free(at(1, 460), 60)],
  ["free of 2**32 pages", "ERR_NOT_MAPPED", at(2, 0), (heap) => heap.free(at(1, 460), 2 ** 32)],
  ["free of 2**33 + 1 pages", "ERR_NOT_MAPPED", at(2, 0), (heap) => heap.free(at(1, 460), 2 ** 33 + 1)],
  ["free below the heap", "ERR_NOT_MAPPED", 0, (heap) => heap.free(0, 1)],
  ["free above the heap", "ERR_NOT_MAPPED", at(90000, 0), (heap) => heap.free(at(90000, 0), 1)],
  ["free of a misaligned address", "ERR_MISALIGNED", at(1, 3) + 1, (heap) => heap.free(at(1, 3) + 1, 1)],
  ["allocRange of pages in use", "ERR_NOT_FREE", at(1, 199), (heap) => heap.allocRange(at(1, 199), 1)],
  [
    "allocRange that runs into pages in use",
    "ERR_NOT_FREE",
    at(1, 448),
    (heap) => heap.allocRange(at(1, 400), 60),
  ],
  ["allocRange of a hole", "ERR_NOT_MAPPED", at(2, 0), (heap) => heap.allocRange(at(2, 0), 1)],
  ["allocRange that runs into a hole", "ERR_NOT_MAPPED", at(4, 0), (heap) => heap.allocRange(at(3, 500), 60)],
  [
    "allocRange of a misaligned address",
    "ERR_MISALIGNED",
    at(3, 3) + 512,
    (heap) => heap.allocRange(at(3, 3) + 512, 1),
  ],
  [
    "scavengeRange of a misaligned address",
    "ERR_MISALIGNED",
    at(3, 3) + 1,
    (heap) => heap.scavengeRange(at(3, 3) + 1, 1),
  ],
  ["growth over a mapped chunk", "ERR_OVERLAP", at(1, 0), (heap) => heap.grow(at(1, 0), CHUNK)],
  [
    "growth that runs into a mapped chunk",
    "ERR_OVERLAP",
    at(3, 0),
    (heap) => heap.grow(at(2, 0), CHUNK + PAGE),
  ],
  ["growth that starts in a mapped chunk", "ERR_OVERLAP", at(3, 511), (heap) => heap.grow(at(3, 511), CHUNK)],
  [
    "growth to more chunks than a heap can have",
    "ERR_METADATA_FULL",
    2 ** 23,
    (heap) => heap.grow(at(9, 0), 2 ** 23 * CHUNK),
  ],
  [
    "a cache not aligned to a block",
    "ERR_MISALIGNED",
    at(1, 65),
    (heap, PageCache) => new PageCache(heap, { base: at(1, 65), cache: 1n, scav: 0n }),
  ],
  [
    "a cache at a misaligned address",
    "ERR_MISALIGNED",
    at(1, 64) + 1,
    (heap, PageCache) => new PageCache(heap, { base: at(1, 64) + 1, cache: 1n, scav: 0n }),
  ],
  [
    "a cache of a hole",
    "ERR_NOT_MAPPED",
    at(2, 64),
    (heap, PageCache) => new PageCache(heap, { base: at(2, 64), cache: 1n, scav: 0n }),
  ],
  [
    "a cache of free pages",
    "ERR_NOT_ALLOCATED",
    at(1, 330),
    (heap, PageCache) => new PageCache(heap, { base: at(1, 320), cache: 1n << 10n, scav: 0n }),
  ],
  [
    "a cache of another's pages",
    "ERR_NOT_ALLOCATED",
    at(1, 200),
    (heap, PageCache) => new PageCache(heap, { base: at(1, 192), cache: 1n << 8n, scav: 0n }),
  ],
  ["free of a cache's pages", "ERR_NOT_ALLOCATED", at(1, 200), (heap) => heap.free(at(1, 200), 1)],
  ["a chunk that is a hole", "ERR_NOT_MAPPED", 2, (heap) => heap.chunk(2)],
  ["a chunk above the heap", "ERR_NOT_MAPPED", 70000, (heap) => heap.chunk(70000)],
];

/** Throws unless the call is refused and nothing has changed. */
type Unchanged = (on: Bench, call: () => unknown, refusal: Refusal, what: string) => void;

function stateTests({ PageCache }: Palloc, bench: () => Bench, unchanged: Unchanged): void {
  it.each(stateCases)("%s: %s", (what, code, value, call) => {
    const on = bench();
    unchanged(on, () => call(on.heap, PageCache), { error: code, names: [String(value)] }, what);
  });

  it("alloc of too many pages returns -1, and calls beyond the address space are refused", () => {
    const { heap } = bench();
    expect(heap.alloc(SPACE_PAGES)).toBe(-1);
    expect(heap.alloc(513)).toBe(-1);
    expect(() => heap.grow(SPACE - CHUNK, CHUNK + 1)).toThrow(RangeError);
    const notMapped = expect.objectContaining({ code: "ERR_NOT_MAPPED" });
    expect(() => heap.allocRange(SPACE - PAGE, 2)).toThrow(notMapped);
    expect(() => heap.free(SPACE - PAGE, 2)).toThrow(notMapped);
  });
}

function fromTests({ PageAlloc }: Palloc): void {
  const range = (value: unknown) => ({ alloc: { 1: [value] } });
  const cases: [string, unknown, Refusal["error"], string][] = [
    ["no state", undefined, TypeError, "state"],
    ["null", null, TypeError, "state"],
    ["a number", 1, TypeError, "state"],
    ["no alloc", {}, TypeError, "alloc"],
    ["alloc that is not an object", { alloc: 7 }, TypeError, "alloc"],
    ["alloc that is null", { alloc: null }, TypeError, "alloc"],
    ["scavenged that is not an object", { alloc: {}, scavenged: 7 }, TypeError, "scavenged"],
    ["ranges that are not an array", { alloc: { 1: 5 } }, TypeError, "alloc"],
    ["a range that is not an array", range(5), TypeError, "alloc"],
    ["a range that is null", range(null), TypeError, "alloc"],
    ["a range of a string", range(["0", 1]), TypeError, '"0"'],
    ["a range without a count", range([3]), TypeError, "alloc"],
    ["a first page of -1", range([-1, 1]), RangeError, "-1"],
    ["a first page of 513", range([513, 0]), RangeError, "513"],
    ["a first page of 1.5", range([1.5, 1]), RangeError, "1.5"],
    ["a first page of NaN", range([NaN, 1]), RangeError, "NaN"],
    ["a count of -1", range([0, -1]), RangeError, "-1"],
    ["a count of 0.5", range([0, 0.5]), RangeError, "0.5"],
    ["a count past the chunk", range([500, 13]), RangeError, "13"],
    [
      "a scavenged count past the chunk",
      { alloc: { 1: [] }, scavenged: { 1: [[0, 513]] } },
      RangeError,
      "513",
    ],
    ["a chunk that is not a number", { alloc: { one: [] } }, RangeError, "one"],
    ["a chunk of -1", { alloc: { "-1": [] } }, RangeError, "-1"],
    ["a chunk of 1.5", { alloc: { "1.5": [] } }, RangeError, "1.5"],
    ...["07", "7.0", "7e0", "+7", " 7", "0x7", "", "Infinity"].map((key): (typeof cases)[number] => [
      `a duplicate chunk ${JSON.stringify(key)}`,
      { alloc: { 7: [], [key]: [[0, 1]] } },
      RangeError,
      `a key of state.alloc must be a decimal integer from 0 to ${SPACE / CHUNK - 1}, ` +
        `got ${JSON.stringify(key)}`,
    ]),
    // biome-ignore lint/suspicious/noSparseArray: that is what is wrong with it
    ["ranges with a hole", { alloc: { 1: [[0, 1], , [3, 1]] } }, TypeError, "alloc"],
    ["a chunk beyond the space", { alloc: { [SPACE / CHUNK]: [] } }, RangeError, String(SPACE / CHUNK)],
  ];
  it.each(cases)("from: %s", (what, state, error, name) => {
    refused(() => PageAlloc.from(state as never), { error, names: [name] }, what);
  });

  it("from: options are checked", () => {
    refused(
      () => PageAlloc.from({ alloc: {} }, { pageSize: 3 }),
      { error: RangeError, names: ["pageSize", "3"] },
      "from",
    );
  });
}

function restoreTests({ PageAlloc }: Palloc): void {
  it.each([undefined, null, 1, "snapshot", {}, [], new ArrayBuffer(8)])("restore: snapshot %o", (value) => {
    refused(() => PageAlloc.restore(value as never), { error: TypeError, names: ["snapshot"] }, "restore");
  });

  it("restore: options are checked", () => {
    const snapshot = new PageAlloc().snapshot();
    const options = { sys: { used: 1 } } as never;
    refused(() => PageAlloc.restore(snapshot, options), { error: TypeError, names: ["sys.used"] }, "restore");
  });
}

function promiseTests(bench: () => Bench): void {
  type Make = (heap: PageAlloc, value: never) => Promise<unknown>;
  const counts = [...NOT_COUNTS, Infinity];
  it.each<[call: string, name: string, make: Make, types: readonly unknown[], ranges: readonly unknown[]]>([
    ["allocAsync", "npages", (heap, v) => heap.allocAsync(v), NOT_NUMBERS, [0, ...counts]],
    ["freeAsync", "base", (heap, v) => heap.freeAsync(v, 1), NOT_NUMBERS, [SPACE, ...counts]],
    ["freeAsync", "npages", (heap, v) => heap.freeAsync(CHUNK, v), NOT_NUMBERS, [0, ...counts]],
    [
      "scavengeAsync",
      "nbytes",
      (heap, v) => heap.scavengeAsync(v),
      withoutUndefined(NOT_NUMBERS),
      NOT_COUNTS,
    ],
    ["callAsync", "call", (heap, v) => heap.callAsync(v), [...NOT_OBJECTS, undefined, {}], []],
  ])("%s: %s", async (call, name, make, types, ranges) => {
    const { heap } = bench();
    const before = heap.snapshot();
    for (const value of [...types, ...ranges]) {
      const error = types.includes(value) ? TypeError : RangeError;
      const names = [name, printed(value)];
      await rejected(() => make(heap, value as never), { error, names }, `${call} with ${printed(value)}`);
    }
    sameBytes(heap.snapshot(), before, call);
  });
}

function zeroTests({ PageAlloc, PallocData, Op }: Palloc, bench: () => Bench): void {
  it("-0 is taken as 0 wherever 0 is allowed", () => {
    const heap = new PageAlloc({ physHugePageSize: -0, lockTimeoutMs: -0 });
    const same = new PageAlloc({ physHugePageSize: 0 });
    for (const [each, zero] of [
      [heap, -0],
      [same, 0],
    ] as const) {
      each.grow(zero, CHUNK);
      each.allocRange(zero, 9);
      each.free(zero, 3);
      each.scavengeRange(zero, 2);
      each.resetScavengeAddr();
      expect([each.scavenge(zero), each.scavengeOne(zero)]).toEqual([0, PAGE]);
      const results = new Float64Array(8).fill(7);
      const ops = [Op.alloc, 2, -1, 0, Op.freeResult, 1, zero, zero, Op.free, 1, PAGE, zero];
      each.run(Float64Array.from([...ops, Op.allocRange, 1, zero, 0]), results);
      expect([...results.map(Math.abs)]).toEqual([0, 2 * PAGE, 0, 0, PAGE, 0, 0, 0]);
      expect(each.chunk(zero).alloc.get(zero)).toBe(true);
      each.check();
    }
    sameBytes(heap.snapshot(), same.snapshot(), "state");
    const data = new PallocData();
    data.allocRange(-0, 3);
    data.freeRange(-0, 1);
    expect(data.find(1, -0)).toEqual({ index: 0, searchIdx: 0 });
    expect(data.findScavengeCandidate(-0, 1, -0, -0)).toEqual({ start: 63, npages: 1 });
    refused(() => bench().heap.alloc(-0), { error: RangeError, names: ["npages", "got 0"] }, "alloc");
  });
}

function insideTests(palloc: Palloc): void {
  const { PageAlloc, PallocData } = palloc;

  it("constructors ignore further arguments", () => {
    const calls: unknown[] = [];
    const more = [5, {}, { engine: {}, address: () => 0 }, (...args: unknown[]) => calls.push(args)];
    for (const value of more) {
      const Heap = PageAlloc as unknown as new (...args: unknown[]) => PageAlloc;
      const heap = new Heap({}, value);
      heap.grow(0, CHUNK);
      expect(heap.alloc(2)).toBe(0);
      const Data = PallocData as unknown as new (...args: unknown[]) => PallocData;
      const data = new Data(value);
      data.allocRange(0, 7);
      expect(data.summarize()).toEqual({ start: 0, max: 505, end: 505 });
    }
    expect(calls).toEqual([]);
  });

  it("from, attach and restore without their class say how to call them", () => {
    const { from, attach, restore } = PageAlloc;
    const refusal = { error: TypeError, names: ["this", "PageAlloc.from(...)"] };
    refused(() => from({ alloc: {} }), refusal, "from");
    refused(() => attach({} as never), refusal, "attach");
    refused(() => restore(new PageAlloc().snapshot()), refusal, "restore");
  });

  it("restore of a subclass ignores the options that its constructor passes on", () => {
    class Mine extends PageAlloc {
      constructor(options?: ConstructorParameters<typeof PageAlloc>[0]) {
        super({ ...options, pageSize: 4096 });
      }
    }
    const snapshot = PageAlloc.from({ alloc: { 1: [[0, 7]] } }).snapshot();
    const heap = Mine.restore(snapshot);
    expect(heap).toBeInstanceOf(Mine);
    sameBytes(heap.snapshot(), snapshot, "restored");
    expect([new Mine().pageSize, new PageAlloc().pageSize]).toEqual([4096, PAGE]);
    refused(() => Mine.restore(snapshot.subarray(4)), { error: "ERR_CORRUPT", names: [] }, "restore");
    expect(new PageAlloc().pageSize).toBe(PAGE);
  });
}

function traceTests({ palloc: { PageAlloc }, trace: { readPageTrace, replay } }: Subject): void {
  const empty = {
    length: 0,
    time: new Float64Array(0),
    proc: new Int32Array(0),
    kind: new Uint8Array(0),
    base: new Float64Array(0),
    npages: new Uint32Array(0),
  };

  it.each([undefined, null, 1, "trace", {}, [], new ArrayBuffer(8)])(
    "readPageTrace: data %o",
    async (value) => {
      await rejected(
        () => readPageTrace(value as never),
        { error: TypeError, names: ["data"] },
        "readPageTrace",
      );
    },
  );

  it.each([undefined, null, 1, "wasm", {}, () => 1])("replay: engine %o", (value) => {
    refused(() => replay(value as never, empty), { error: TypeError, names: ["engine"] }, "replay");
  });

  it.each([undefined, null, 1, "trace", {}, { ...empty, kind: [] }])("replay: trace %o", (value) => {
    refused(() => replay(PageAlloc, value as never), { error: TypeError, names: ["trace"] }, "replay");
  });

  it.each<[string, unknown, Refusal["error"]]>([
    ["options", null, TypeError],
    ["options", 1, TypeError],
    ["scavenge", "sometimes", RangeError],
    ["scavenge", 1, TypeError],
    ["samples", -1, RangeError],
    ["samples", 0.5, RangeError],
    ["samples", NaN, RangeError],
    ["samples", "10", TypeError],
    ["onProgress", 1, TypeError],
  ])("replay: %s %o", (name, value, error) => {
    const options = name === "options" ? value : { [name]: value };
    refused(() => replay(PageAlloc, empty, options as never), { error, names: [name] }, "replay");
  });
}
