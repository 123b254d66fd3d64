// PyTorch memory snapshots: what is read of them, what is refused, and that what comes out can be replayed.
import { describe, expect, it } from "vitest";
import { pytorchSnapshot } from "../../../bench/traces/pytorch-snapshot.mjs";
import { loadFixture } from "../../support/fixtures.ts";
import type { Subject } from "../../support/subject.ts";
import { changeEverywhere, cutEverywhere } from "../../support/trace-fuzz.ts";
import { inBlocks } from "../../support/trace-words.ts";
import { unpickle } from "../../support/unpickle.ts";

const [ALLOC, FREE, EXISTS, GROW, UNMAP] = [1, 2, 4, 5, 6];
const BASE = 0x7f00_0000_0000;
const MIB = 2 ** 20;

type Read = Subject["trace"]["readTrace"];
type Trace = Awaited<ReturnType<Read>>;
interface Entry {
  action: string;
  addr: number;
  size: number;
}

/** The bytes of strings, byte values and arrays of both. */
function bytes(...parts: Array<string | number>): Uint8Array {
  const text = parts.map((part) => (typeof part === "number" ? String.fromCharCode(part) : part)).join("");
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function generated(options: Parameters<typeof pytorchSnapshot>[0]): Uint8Array {
  const parts = [...pytorchSnapshot(options)];
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** A string in pickle. */
const text = (word: string) => `\x8c${String.fromCharCode(word.length)}${word}`;
/** A snapshot whose one entry is an alloc of a page, with opcodes for its address, and some before the entry's end. */
const withAddress = (address: string, more = "") =>
  bytes(
    `\x80\x04}(${text("device_traces")}](](}(${text("action")}${text("alloc")}${text("addr")}${address}`,
    `${text("size")}K\x01${more}ueeu.`,
  );
const ADDRESS = "J\x00\x00\x01\x00";
/** One with opcodes at the value of an unknown key. */
const withExtra = (extra: string) => withAddress(ADDRESS, `${text("extra")}${extra}`);

const rows = ({ length, time, proc, kind, base, npages }: Trace) =>
  Array.from({ length }, (_, i) => [time[i], proc[i], kind[i], base[i], npages[i]]);

/** Follows the events, page ranges as they are: each must be possible. */
function mustReplay(trace: Trace): void {
  const mapped = new Map<number, number>();
  const live = new Map<number, number>();
  for (let i = 0; i < trace.length; i++) {
    const [start, count] = [trace.base[i] / 512, trace.npages[i]];
    const what = `event ${i}, kind ${trace.kind[i]}, page ${start}`;
    if (i > 0 && trace.time[i] < trace.time[i - 1]) throw new Error(`${what}: time goes back`);
    const overlaps = (ranges: Map<number, number>) =>
      [...ranges].filter(([from, n]) => from < start + count && from + n > start);
    switch (trace.kind[i]) {
      case GROW:
        expect(overlaps(mapped), what).toEqual([]);
        mapped.set(start, count);
        break;
      case UNMAP:
        expect(overlaps(live), what).toEqual([]);
        expect(overlaps(mapped).length, what).toBe(1);
        for (const [from, n] of overlaps(mapped)) {
          expect(from <= start && from + n >= start + count, what).toBe(true);
          mapped.delete(from);
          if (from < start) mapped.set(from, start - from);
          if (from + n > start + count) mapped.set(start + count, from + n - start - count);
        }
        break;
      case FREE:
        expect(live.get(start), what).toBe(count);
        live.delete(start);
        break;
      default: {
        expect(overlaps(live), what).toEqual([]);
        const within = overlaps(mapped).some(([from, n]) => from <= start && from + n >= start + count);
        expect(within, what).toBe(true);
        live.set(start, count);
      }
    }
  }
}

export function pytorchSuite({
  palloc: { PageAllocError },
  trace: { openTrace, readTrace: read },
}: Subject): void {
  async function refusal(file: Uint8Array, options?: Parameters<Read>[1]): Promise<string> {
    const error = await read(file, options).then(
      () => new Error("it was read"),
      (error) => error,
    );
    expect(error).toBeInstanceOf(PageAllocError);
    expect(error.code).toBe("ERR_TRACE");
    return error.message;
  }

  describe("PyTorch snapshots", () => {
    it.each([2, 3, 4, 5])("protocol %i is read", async (protocol) => {
      const file = await loadFixture(`traces/pytorch/tiny-${protocol}.pickle`);
      const trace = await read(file);
      expect([trace.format, trace.pageSize]).toEqual(["pytorch", 512]);
      same(rows(trace), [
        [10_000, -1, GROW, BASE + 8 * MIB, 4096],
        [10_000, -1, GROW, BASE, 4096],
        [10_000, 1, EXISTS, BASE + 4096, 2],
        [10_000, -1, EXISTS, BASE + 8192, 2],
        [10_000, 0, ALLOC, BASE, 2],
        [12_000, 1, FREE, BASE + 4096, 2],
        [20_000, 0, GROW, BASE + 4 * MIB, 4096],
        [20_000, 0, ALLOC, BASE + 4 * MIB, 1],
        [21_000, 0, FREE, BASE + 4 * MIB, 1],
        [22_000, 0, UNMAP, BASE + 4 * MIB, 4096],
        [23_000, 2, UNMAP, BASE + 8 * MIB, 4096],
      ]);
    });

    it("blocks of any size give the same", async () => {
      const file = await loadFixture("traces/pytorch/tiny-4.pickle");
      const want = rows(await read(file));
      for (const size of [1, 2, 7, 256, 300]) {
        async function* blocks() {
          for (let at = 0; at < file.length; at += size) yield file.slice(at, at + size);
        }
        same(rows(await read(blocks())), want);
      }
    });

    it.each([
      { protocol: 2 as const, batch: Infinity },
      { protocol: 2 as const, frames: "shared" as const, tracesFirst: true },
      { protocol: 4 as const, devices: 3, device: 2 },
      { protocol: 5 as const, frames: "whole" as const },
    ])("a generated one is read as a plainer reader does, and can be replayed: %o", async (options) => {
      const file = generated({ entries: 3000, depth: 4, ...options });
      const trace = await read(file);
      const { device_traces } = unpickle(file) as { device_traces: Entry[][] };
      const wanted = device_traces.flat().filter(({ action }) => /^(alloc|free_completed)$/.test(action));
      same(
        rows(trace).flatMap(([, , kind, base, npages]) => (kind <= FREE ? [[kind, base, npages]] : [])),
        wanted.map(({ action, addr, size }) => [
          action === "alloc" ? ALLOC : FREE,
          addr,
          Math.ceil(size / 512),
        ]),
      );
      mustReplay(trace);
      expect("corrections" in trace).toBe(false);
      expect(rows(trace).filter(([, , kind]) => kind === EXISTS).length).toBeGreaterThan(10);
      const blocks = [];
      for await (const block of await openTrace(file)) blocks.push(...rows(block));
      same(blocks, rows(trace));
    });

    it("a history with holes in it can be replayed", async () => {
      const page = (n: number) => `J${String.fromCharCode(0, n * 2, 1, 0)}`;
      const entry = (action: string, at: number, n: number) =>
        `}(${text("action")}${text(action)}${text("addr")}${page(at)}` +
        `${text("size")}M\x00${String.fromCharCode(n * 2)}u`;
      const entries = [
        entry("segment_alloc", 0, 16),
        entry("alloc", 0, 4),
        entry("alloc", 2, 4),
        entry("free_completed", 0, 4),
        entry("free_completed", 3, 1),
        entry("segment_alloc", 8, 16),
        entry("segment_free", 0, 12),
        entry("alloc", 4, 2),
        entry("segment_free", 0, 12),
      ];
      const trace = await read(bytes(`\x80\x04}${text("device_traces")}](](${entries.join("")}ees.`));
      mustReplay(trace);
      same(
        rows(trace).map(([time, , kind, base, npages]) => [time, kind, base / 512 - 128, npages]),
        [
          [0, GROW, 0, 16],
          [1000, ALLOC, 0, 4],
          [2000, FREE, 0, 4],
          [2000, ALLOC, 2, 4],
          [5000, GROW, 16, 8],
          [6000, FREE, 2, 4],
          [6000, UNMAP, 0, 12],
          [7000, GROW, 4, 2],
          [7000, ALLOC, 4, 2],
          [8000, FREE, 4, 2],
          [8000, UNMAP, 4, 2],
        ],
      );
      expect(trace.corrections).toEqual({
        ...{ impliedFrees: 3, impliedGrows: 1, skippedFrees: 2 },
        ...{ skippedGrows: 1, skippedUnmaps: 1, movedAllocs: 0 },
      });
    });

    it.each([
      ["INT", "I01\n"],
      ["INT", "I-12\n"],
      ["LONG", "L123456789012345678901234567890L\n"],
      ["FLOAT", "F1.5\n"],
      ["STRING", "S'alloc'\n"],
      ["UNICODE", "Valloc\n"],
      ["BINSTRING", "T\x03\0\0\0abc"],
      ["SHORT_BINSTRING", "U\x03abc"],
      ["BINUNICODE", "X\x05\0\0\0alloc"],
      ["a long BINUNICODE", `X\x00\x04\0\0${"x".repeat(1024)}`],
      ["BINUNICODE8", "\x8d\x03\0\0\0\0\0\0\0abc"],
      ["BINBYTES", "B\x01\0\0\0a"],
      ["SHORT_BINBYTES", "C\x01a"],
      ["BINBYTES8", "\x8e\x01\0\0\0\0\0\0\0a"],
      ["BYTEARRAY8", "\x96\x01\0\0\0\0\0\0\0a"],
      ["BINFLOAT", "G\0\0\0\0\0\0\0\0"],
      ["NONE, NEWTRUE, NEWFALSE, TUPLE3", "N\x88\x89\x87"],
      ["TUPLE1, TUPLE2, EMPTY_TUPLE", "K\x01\x85)\x86"],
      ["TUPLE", "(K\x01K\x02K\x03K\x04t"],
      ["EMPTY_SET, ADDITEMS", "\x8f(K\x01K\x02\x90"],
      ["FROZENSET", "(K\x01\x91"],
      ["LIST", "(K\x01(lK\x02l"],
      ["DICT", "(K\x01(dd"],
      ["LONG1, LONG4", "\x8a\x01\xff0\x8b\x02\0\0\0\0\x01"],
      ["POP, POP_MARK, DUP", "K\x01K\x0220(K\x0310(02\x86"],
      ["BINPUT, BINGET, MEMOIZE", "K\x01q\0h\0\x94\x86"],
      ["PUT, GET", "K\x01p0\ng0\n\x86"],
      ["LONG_BINPUT, LONG_BINGET", "K\x01r\0\0\0\0j\0\0\0\0\x86"],
      ["FRAME, APPEND, SETITEM", "\x95\0\0\0\0\0\0\0\0]}K\x01K\x02sa"],
    ])("%s: %j", async (_, opcodes) => {
      const trace = await read(withExtra(opcodes));
      same(
        rows(trace).map(([, , kind, base]) => [kind, base]),
        [
          [GROW, 0x10000],
          [ALLOC, 0x10000],
        ],
      );
      expect(unpickle(withExtra(opcodes))).toHaveProperty("device_traces.0.0.size", 1);
    });

    it.each([
      ["BININT1", "K\0", 0],
      ["BININT2", "M\0\x02", 512],
      ["LONG1", "\x8a\x06\0\0\0\0\xff\x7f", 0x7fff_0000_0000],
      ["LONG1, of 3 bytes", "\x8a\x03\0\x02\x01", 0x10200],
      ["LONG1, of 7 bytes", "\x8a\x07\0\x02\0\0\0\x01\0", 0x100_0000_0200],
      ["LONG1, of 8 bytes", "\x8a\x08\0\0\0\0\xff\x7f\0\0", 0x7fff_0000_0000],
      ["LONG1, long", `\x8a\x0a\0\x02${"\0".repeat(8)}`, 512],
      ["LONG1, empty", "\x8a\0", 0],
      ["INT", "I1024\n", 1024],
      ["LONG", "L140733193388032L\n", 0x7fff_0000_0000],
    ])("an address by %s", async (_, opcodes, address) => {
      expect((await read(withAddress(opcodes))).base[0]).toBe(address);
    });

    it.each([
      ["J\x01\x00\x01\x00", "got 65537 (0x10001)"],
      ["\x8a\x07\0\0\0\0\0\0\x01", "got 281474976710656 (0x1000000000000)"],
      ["\x8a\x01\xff", "got -1"],
      ["\x8a\x05\0\0\0\0\xff", "got -4294967296"],
      ["\x8a\x08\0\0\0\0\0\0\x20\0", "got 9007199254740992 (0x20000000000000)"],
      ["\x8a\x08\x01\0\0\0\0\0\x20\0", "got 9007199254740993 (0x20000000000001)"],
      ["\x8a\x08\xff\xff\xff\xff\xff\xff\xdf\xff", "got -9007199254740993"],
      ["\x8a\x08\0\0\0\0\0\0\0\x80", "got -9223372036854775808"],
      [`\x8a\x09${"\xff".repeat(8)}\0`, "got 18446744073709551615 (0xffffffffffffffff)"],
      ["L18446744073709551617L\n", "got 18446744073709551617 (0x10000000000000001)"],
      ["N", "got something else, or nothing"],
      [text("alloc"), 'got "alloc"'],
    ])("an address that cannot be is refused: %j", async (opcodes, got) => {
      const start = "byte 23: device_traces[0][0], alloc: addr must be a multiple of 512 below 2^48, as all";
      const message = await refusal(withAddress(opcodes));
      expect(message).toContain(start);
      expect(message.endsWith(got)).toBe(true);
    });

    it.each([
      ["GLOBAL", "cos\nsystem\n"],
      ["STACK_GLOBAL", "\x93"],
      ["REDUCE", "R"],
      ["BUILD", "b"],
      ["INST", "ios\nsystem\n"],
      ["OBJ", "o"],
      ["NEWOBJ", "\x81"],
      ["NEWOBJ_EX", "\x92"],
      ["PERSID", "P1\n"],
      ["BINPERSID", "Q"],
      ["EXT1", "\x82\x01"],
      ["EXT2", "\x83\x01\0"],
      ["EXT4", "\x84\x01\0\0\0"],
      ["NEXT_BUFFER", "\x97"],
      ["READONLY_BUFFER", "\x98"],
    ])("%s is refused", async (name, opcodes) => {
      const file = withExtra(opcodes);
      const byte = withExtra("").length - 5;
      const message = await refusal(file);
      expect(message).toContain(`byte ${byte}: the pickle opcode ${name} (0x`);
      expect(message).toContain("no code is ever run");
    });

    it.each([
      ["\x80\x06N.", "byte 0: pickle protocol 6"],
      ["\x80\x04.", "byte 2: the opcode needs 1 values"],
      ["\x80\x04]a.", "byte 3: the opcode needs 2 values"],
      ["\x80\x04e.", "byte 2: the opcode needs a MARK"],
      ["\x80\x04}(K\x01u.", "byte 6: a key has no value"],
      ["\x80\x04(e.", "byte 3: the opcode needs a list or dict"],
      ["\x80\x04h\x05.", "byte 2: memo 5 is got before it is put"],
      ["\x80\x04Nq\x05.", "byte 3: memo 5 is put, and only 0 are in use"],
      ["\x80\x04\xffN.", "byte 2: 0xff is no opcode"],
      ["\x80\x04X\xff\xff\xff\xffN.", "byte 9: the file is cut short within a string"],
      ["\x80\x04\x8eN\0\0\0\0\0\0\xff.", "byte 12: the file is cut short within a string"],
      ["\x80\x04Ix\n.", 'byte 2: "x" is no integer'],
      ["\x80\x04I1", "byte 2: the file is cut short within a line"],
      [`\x80\x04S${"x".repeat(70_000)}`, "byte 2: the line is longer than 65536 bytes"],
      ["\x80\x04N", "byte 3: the file is cut short"],
      ["\x80\x04].", "byte 0: this is a pickle, but no memory snapshot"],
      ["\x80\x04}.", "byte 0: this is a pickle, but no memory snapshot"],
      [`\x80\x04}${text("device_traces")}]]as.`, "byte 18: device_traces has no events of any device"],
      [`\x80\x04}${text("device_traces")}](NNes.`, "byte 18: device_traces[0] must be a list of entries"],
    ])("%j is refused", async (file, message) => {
      expect(await refusal(bytes(file), { format: "pytorch" })).toContain(message);
    });

    it("several devices: the option says which", async () => {
      const entry = (address: string) =>
        `}(${text("action")}${text("alloc")}${text("addr")}${address}${text("size")}K\x01u`;
      const two = entry(ADDRESS) + entry("M\0\x02");
      const file = bytes(`\x80\x04}${text("device_traces")}](](${two}e](e](${entry("K\0")}ees.`);
      const which = "device_traces has events of several devices: 0 (2 events), 2 (1 events); choose one";
      expect(await refusal(file)).toContain(which);
      expect(await refusal(file, { device: 1 })).toContain(
        "has no events of device 1, only of 0 (2 events), 2",
      );
      expect(await refusal(file, { device: 9 })).toContain("has no events of device 9");
      expect((await read(file, { device: 0 })).length).toBe(4);
      expect((await read(file, { device: 2 })).base[0]).toBe(0);
    });

    it("lists may be nested 100,000 deep", async () => {
      const deep = "](".repeat(100_000) + "e".repeat(100_000);
      expect((await read(withExtra(deep))).length).toBe(2);
      expect((await read(withExtra("]".repeat(100_000) + "a".repeat(99_999)))).length).toBe(2);
      expect(await refusal(bytes("\x80\x04", "](".repeat(100_000)))).toContain(
        "byte 200002: the file is cut short",
      );
    });

    it("lines may have up to 65,536 bytes, one after the other", async () => {
      const line = (length: number) => `V${"A".repeat(length)}\n0`;
      const lines = [0, 60_000, 60_000, 65_536, 1, 65_536].map(line).join("");
      for (const size of [1000, 2 ** 16, 2 ** 20]) {
        expect((await read(inBlocks(withExtra(`${lines}N`), size))).length).toBe(2);
      }
      expect(await refusal(withExtra(`${line(65_537)}N`))).toContain("the line is longer than 65536 bytes");
    });

    it.each([
      ["marks", "\x80\x04", "(", 2 ** 17],
      ["numbers, or lists and dicts of events,", `\x80\x04}(${text("device_traces")}](](`, "}", 2 ** 16 - 3],
      ["numbers, or lists and dicts of events,", "\x80\x04}", "K\x01", 2 ** 16 - 1],
    ])("too many %s at once are refused: %j", async (what, start, opcodes, most) => {
      const file = (count: number) => bytes(start, opcodes.repeat(count));
      expect(await refusal(file(most))).toContain("the file is cut short");
      const byte = start.length + most * opcodes.length;
      expect(await refusal(file(most + 1))).toMatch(
        new RegExp(
          `^byte ${byte}: more than \\d+ ${what} are on the stack; the file is damaged, or no pickle$`,
        ),
      );
    });

    it("numbers in a list that nobody wants are not kept", async () => {
      expect((await read(withExtra(`](${"K\x01".repeat(100_000)}e`))).length).toBe(2);
    });

    it("a list of events that is put into the memo again and again is refused", async () => {
      const start = "\x80\x04}(\x8c\x0ddevice_traces](]";
      expect(await refusal(bytes(start, "\x94".repeat(65_537)))).toBe(
        "byte 65558: more than 65536 memos are put for lists of events; the file is damaged, or no pickle",
      );
    });

    it("addresses that no allocator gives are refused", async () => {
      const file = await loadFixture("traces/pytorch/mosaic.pickle.gz");
      expect(await refusal(file)).toBe(
        "byte 35: device_traces[0][0], alloc: addr must be a multiple of 512 below 2^48, as all addresses of " +
          "PyTorch's allocator are; got 78125042165853 (0x470de762e85d)",
      );
    });

    it("a cut or changed file is read or refused", async () => {
      for (const protocol of [2, 5]) {
        const file = await loadFixture(`traces/pytorch/tiny-${protocol}.pickle`);
        await cutEverywhere(read, file, { format: "pytorch" });
        for (const seed of [1, 2]) await changeEverywhere(read, file, { format: "pytorch" }, seed);
      }
    });
  });
}

/** Compares rows, which is quicker than toEqual when there are many. */
function same(got: unknown[][], want: unknown[][]): void {
  expect(got.map((row) => row.join(" "))).toEqual(want.map((row) => row.join(" ")));
}
