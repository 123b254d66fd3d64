// That `palloc` really runs WebAssembly: a silent way around it would pass every other suite. And what happens where
// there is none.
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ownBytes, sharedBytes } from "../src/engine/wasm/bytes.ts";
import type { Palloc } from "./support/subject.ts";

const unavailable = expect.objectContaining({
  code: "ERR_WASM_UNAVAILABLE",
  message: expect.stringContaining("palloc/ts"),
});

/** What `palloc` has done with WebAssembly since the test began. */
let made: { modules: number; instances: number; calls: number };

/** WebAssembly with an eye on it. */
function watchedWebAssembly(): typeof WebAssembly {
  const Compiled = WebAssembly.Module;
  class Module extends WebAssembly.Module {
    constructor(bytes: BufferSource) {
      super(bytes);
      made.modules++;
    }
    static override [Symbol.hasInstance](value: unknown): boolean {
      return value instanceof Compiled;
    }
  }
  class Instance extends WebAssembly.Instance {
    constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
      super(module, imports);
      made.instances++;
    }
    override get exports(): WebAssembly.Exports {
      const counted = ([name, value]: [string, WebAssembly.ExportValue]) => {
        if (typeof value !== "function") return [name, value];
        const call = (...args: unknown[]) => {
          made.calls++;
          return value(...args);
        };
        return [name, call];
      };
      return Object.fromEntries(Object.entries(super.exports).map(counted));
    }
  }
  return Object.create(WebAssembly, { Module: { value: Module }, Instance: { value: Instance } });
}

/** Entries that have not been used yet. */
const freshPalloc = (): Promise<Palloc> => import("palloc/shared");
const freshTwin = (): Promise<Palloc> => import("palloc/ts/shared");

beforeEach(() => {
  made = { modules: 0, instances: 0, calls: 0 };
  vi.resetModules();
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("with WebAssembly", () => {
  beforeEach(() => {
    vi.stubGlobal("WebAssembly", watchedWebAssembly());
  });

  it("palloc compiles on first use and calls its instance", async () => {
    const { PageAlloc, PallocData, fillAligned } = await freshPalloc();
    expect(made).toEqual({ modules: 0, instances: 0, calls: 0 });
    const heap = new PageAlloc();
    expect(heap.engine).toBe("wasm");
    expect(made).toMatchObject({ modules: 1, instances: 1 });

    const uses: [string, () => unknown][] = [
      ["grow", () => heap.grow(0, heap.chunkBytes)],
      ["alloc", () => heap.alloc(3)],
      ["free", () => heap.free(0, 1)],
      ["resetScavengeAddr and scavenge", () => [heap.resetScavengeAddr(), heap.scavenge()]],
      ["allocToCache", () => heap.allocToCache()],
      ["summarize", () => new PallocData().summarize()],
      ["findScavengeCandidate", () => new PallocData().findScavengeCandidate(511, 1, 1)],
      ["fillAligned", () => fillAligned(1n, 8)],
    ];
    for (const [name, use] of uses) {
      const before = made.calls;
      use();
      expect(made.calls, name).toBeGreaterThan(before);
    }
  });

  it("all heaps share one instance", async () => {
    const { PageAlloc, PallocData } = await freshPalloc();
    for (let k = 0; k < 100; k++) new PageAlloc().grow(k * 2 ** 22, 8192);
    new PallocData();
    expect(made.instances).toBe(1);
  });

  it("an empty batch neither takes nor frees memory", async () => {
    const { PageAlloc } = await freshPalloc();
    const heaps = [new PageAlloc()];
    heaps[0].run(new Float64Array(0), new Float64Array(0));
    for (let k = 0; k < 600; k++) {
      heaps.push(new PageAlloc());
      heaps[k + 1].run(new Float64Array(0), new Float64Array(0));
    }
    for (const heap of heaps) heap.check();
    for (const heap of heaps) heap.dispose();
  });

  it("the twin does not use it", async () => {
    const { PageAlloc, fillAligned, init } = await freshTwin();
    await init();
    // Heaps of other tests may have been collected until now, and given back.
    made.calls = 0;
    const heap = new PageAlloc();
    heap.grow(0, heap.chunkBytes);
    expect([heap.engine, heap.alloc(3), fillAligned(1n, 8)]).toEqual(["ts", 0, 0xffn]);
    expect(made).toEqual({ modules: 0, instances: 0, calls: 0 });
  });

  it("init compiles once, without blocking", async () => {
    const { PageAlloc, init } = await freshPalloc();
    const compile = vi.spyOn(WebAssembly, "compile");
    await Promise.all([init(), init()]);
    await init();
    expect(new PageAlloc().engine).toBe("wasm");
    expect(made).toMatchObject({ modules: 0, instances: 1 });
    expect(compile.mock.calls.length).toBeLessThanOrEqual(2);
  });

  it("init accepts a compiled module", async () => {
    const bytes = await readFile(new URL("../build/palloc.wasm", import.meta.url));
    const module = await WebAssembly.compile(bytes);
    const { PageAlloc, init } = await freshPalloc();
    const compile = vi.spyOn(WebAssembly, "compile");
    await init(module);
    expect(new PageAlloc().engine).toBe("wasm");
    // One that tried the module, one for the heap.
    expect(made).toMatchObject({ modules: 0, instances: 2 });
    expect(compile).not.toHaveBeenCalled();
  });

  it("init accepts a module for shared heaps", async () => {
    const bytes = await readFile(new URL("../build/palloc.shared.wasm", import.meta.url));
    const shared = await WebAssembly.compile(bytes);
    const { PageAlloc, init } = await freshPalloc();
    await init(undefined, shared);
    const modules = made.modules;
    const heap = new PageAlloc({ shared: true });
    heap.grow(0, 8192);
    expect(heap.alloc(1)).toBe(0);
    // One for plain heaps, one that tried the module, one for the heap.
    expect(made).toMatchObject({ modules, instances: 3 });
  });

  it.each([
    ["own", ownBytes],
    ["shared", sharedBytes],
  ])("the inlined module for %s memory is what the compiler made", async (kind, bytes) => {
    const compiled = await readFile(new URL(`../build/palloc.${kind}.wasm`, import.meta.url));
    expect(Buffer.from(bytes())).toEqual(compiled);
  });

  it("init does nothing after first use", async () => {
    const { PageAlloc, init } = await freshPalloc();
    const heap = new PageAlloc();
    heap.grow(0, 8192);
    await init();
    expect(new PageAlloc().engine).toBe("wasm");
    expect(heap.alloc(1)).toBe(0);
    expect(made.instances).toBe(1);
  });

  it.each([null, 1, "palloc.wasm", new Uint8Array(8), {}])("init refuses %o", async (module) => {
    const { init } = await freshPalloc();
    const refusal = expect.objectContaining({
      name: "TypeError",
      message: expect.stringContaining("module"),
    });
    await expect(init(module as never)).rejects.toEqual(refusal);
  });

  it.each([
    ["palloc.shared.wasm as module", ["shared"]],
    ["palloc.wasm as shared", [undefined, "own"]],
    ["both swapped", ["shared", "own"]],
  ])("init refuses %s, and then takes the right ones", async (_, kinds) => {
    const compiled = async (kind: string | undefined) =>
      kind && WebAssembly.compile(await readFile(new URL(`../build/palloc.${kind}.wasm`, import.meta.url)));
    const { init, PageAlloc } = await freshPalloc();
    const [module, shared] = await Promise.all(kinds.map(compiled));
    await expect(init(module as never, shared as never)).rejects.toThrow(TypeError);
    const [own, sharing] = await Promise.all(["own", "shared"].map(compiled));
    await init(own as never, sharing as never);
    for (const isShared of [false, true]) {
      const heap = new PageAlloc({ shared: isShared });
      heap.grow(0, 8192);
      expect(heap.alloc(1)).toBe(0);
    }
  });

  it("init refuses a module that is not palloc's", async () => {
    const empty = new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    const { init, PageAlloc } = await freshPalloc();
    await expect(init(empty)).rejects.toThrow();
    expect(new PageAlloc().engine).toBe("wasm");
  });
});

/** Every use that needs the engine. */
const firstUses: [string, (palloc: Palloc) => unknown][] = [
  ["new PageAlloc", ({ PageAlloc }) => new PageAlloc()],
  ["PageAlloc.from", ({ PageAlloc }) => PageAlloc.from({ alloc: {} })],
  ["new PallocData", ({ PallocData }) => new PallocData()],
  ["fillAligned", ({ fillAligned }) => fillAligned(1n, 8)],
];

describe("without WebAssembly", () => {
  beforeEach(() => {
    vi.stubGlobal("WebAssembly", undefined);
  });

  it.each(firstUses)("%s throws and names palloc/ts", async (_, use) => {
    const palloc = await freshPalloc();
    expect(() => use(palloc)).toThrow(unavailable);
    expect(() => use(palloc)).toThrow(palloc.PageAllocError);
  });

  it("init rejects", async () => {
    const { init } = await freshPalloc();
    await expect(init()).rejects.toEqual(unavailable);
  });

  it("the twin works", async () => {
    const { PageAlloc } = await freshTwin();
    const heap = new PageAlloc();
    heap.grow(0, heap.chunkBytes);
    expect([heap.alloc(1), heap.alloc(2)]).toEqual([0, 8192]);
  });
});

describe("where compiling bytes is forbidden", () => {
  const refuse = () => {
    throw new EvalError("refused by the content security policy");
  };
  let bytes: BufferSource;
  beforeEach(async () => {
    bytes = await readFile(new URL("../build/palloc.wasm", import.meta.url));
    const Compiled = WebAssembly.Module;
    class Module extends Compiled {
      constructor(bytes: BufferSource) {
        refuse();
        super(bytes);
      }
      static override [Symbol.hasInstance](value: unknown): boolean {
        return value instanceof Compiled;
      }
    }
    const compile = () => Promise.resolve().then(refuse);
    vi.stubGlobal(
      "WebAssembly",
      Object.create(WebAssembly, { Module: { value: Module }, compile: { value: compile } }),
    );
  });

  it.each(firstUses)("%s throws and names palloc/ts", async (_, use) => {
    const palloc = await freshPalloc();
    expect(() => use(palloc)).toThrow(unavailable);
  });

  it("init rejects, but accepts a compiled module", async () => {
    const stubbed = WebAssembly;
    vi.unstubAllGlobals();
    const module = await WebAssembly.compile(bytes);
    vi.stubGlobal("WebAssembly", stubbed);
    const { PageAlloc, init } = await freshPalloc();
    await expect(init()).rejects.toEqual(unavailable);
    await init(module);
    expect(new PageAlloc().engine).toBe("wasm");
  });
});
