// Logs of malloc and free, in each text that they are written in.
import { describe, expect, it } from "vitest";
import type { Subject } from "../../support/subject.ts";
import { bytesOf, type Row, rowsOf, sameRows, unpackedText } from "../../support/texts.ts";
import { changeEverywhere, cutEverywhere } from "../../support/trace-fuzz.ts";
import { checkInvariants } from "../../support/trace-invariants.ts";
import { inBlocks } from "../../support/trace-words.ts";

type Read = Subject["trace"]["readTrace"];

/** Where blocks go that cannot be put at their address. */
const MADE_UP = 2 ** 47;

export function mallocSuite(subject: Subject): void {
  const { readTrace, openTrace } = subject.trace;
  describe("malloc logs", () => {
    describe("of Android", () => androidTests(readTrace));
    describe("of heaptrack", () => heaptrackTests(readTrace));
    describe("as CSV", () => csvTests(readTrace));
    describe("as NDJSON", () => ndjsonTests(readTrace));
    describe("as lines", () => lineTests(subject));
    it("streams a real log in blocks", async () => {
      const text = await unpackedText("malloc/android-systemui.txt.gz");
      const rows: Row[] = [];
      const stream = await openTrace(bytesOf(text));
      expect([stream.format, stream.pageSize]).toEqual(["malloc", 16]);
      for await (const block of stream) {
        expect(block.length).toBeLessThanOrEqual(2 ** 15);
        rows.push(...rowsOf(block));
      }
      sameRows(rows, rowsOf(await readTrace(bytesOf(text))));
    });
  });
}

/** Reads a log that must be a whole trace of the format, and returns its kinds, bases and sizes. */
async function eventsOf(read: Read, text: string): Promise<[string, number, number][]> {
  const trace = await read(bytesOf(text));
  expect([trace.format, trace.pageSize, trace.cutShort]).toEqual(["malloc", 16, undefined]);
  checkInvariants(trace);
  return rowsOf(trace).map(([kind, base, npages]) => [kind, base, npages]);
}

/** Expects ERR_TRACE with this in its message. */
async function expectRefusal(read: Read, text: string, message: RegExp): Promise<void> {
  await expect(read(bytesOf(text))).rejects.toMatchObject({
    code: "ERR_TRACE",
    message: expect.stringMatching(message),
  });
}

/** Logs of Android, and what comes of them. Each line is of thread 1. */
const ANDROID_CASES: [string, string[], [string, number, number][]][] = [
  [
    "blocks of 1, 16 and 17 bytes, and of none",
    ["malloc 0x10 1", "malloc 0x20 16", "malloc 0x30 17", "malloc 0x50 0"],
    [
      ["alloc", 0x10, 1],
      ["alloc", 0x20, 1],
      ["alloc", 0x30, 2],
      ["alloc", 0x50, 1],
    ],
  ],
  [
    "calloc by count and size, memalign by its last number",
    ["calloc 0x100 10 20", "memalign 0x1000 64 100"],
    [
      ["alloc", 0x100, 13],
      ["alloc", 0x1000, 7],
    ],
  ],
  [
    "a free, with the size of its alloc",
    ["malloc 0x100 100", "free 0x100"],
    [
      ["alloc", 0x100, 7],
      ["free", 0x100, 7],
    ],
  ],
  [
    "frees of null and of blocks from before",
    ["free 0x0", "free 0x100", "free 0x108", "thread_done 0x0"],
    [],
  ],
  [
    "calls that failed, of any size",
    ["malloc 0x0 99999999999999999999", "calloc 0x0 9 9", "realloc 0x0 0x0 5"],
    [],
  ],
  [
    "realloc: of null, elsewhere, in place, that fails, to nothing, of an unknown block",
    [
      "realloc 0x100 0x0 16",
      "realloc 0x200 0x100 32",
      "realloc 0x200 0x200 48",
      "realloc 0x0 0x200 1000",
      "realloc 0x0 0x200 0",
      "realloc 0x300 0x400 16",
    ],
    [
      ["alloc", 0x100, 1],
      ["free", 0x100, 1],
      ["alloc", 0x200, 2],
      ["free", 0x200, 2],
      ["alloc", 0x200, 3],
      ["free", 0x200, 3],
      ["alloc", 0x300, 1],
    ],
  ],
  [
    "a lost free: at the same address, in the middle, and of several",
    [
      "malloc 0x100 64",
      "malloc 0x100 16",
      "malloc 0x110 16",
      "malloc 0x200 64",
      "malloc 0x210 16",
      "malloc 0xf0 256",
    ],
    [
      ["alloc", 0x100, 4],
      ["free", 0x100, 4],
      ["alloc", 0x100, 1],
      ["alloc", 0x110, 1],
      ["alloc", 0x200, 4],
      ["free", 0x200, 4],
      ["alloc", 0x210, 1],
      ["free", 0x100, 1],
      ["free", 0x110, 1],
      ["alloc", 0xf0, 16],
    ],
  ],
  [
    "blocks at no multiple of 16: elsewhere, again and again",
    [
      "malloc 0x108 8",
      "malloc 0x118 24",
      "free 0x108",
      "malloc 0x128 8",
      "malloc 0x128 8",
      "free 0x118",
      "free 0x118",
    ],
    [
      ["alloc", MADE_UP, 1],
      ["alloc", MADE_UP + 16, 2],
      ["free", MADE_UP, 1],
      ["alloc", MADE_UP, 1],
      ["free", MADE_UP, 1],
      ["alloc", MADE_UP, 1],
      ["free", MADE_UP + 16, 2],
    ],
  ],
  [
    "tagged pointers, and the highest ones",
    [
      "malloc 0xb400000012345670 16",
      "free 0x12345670",
      "malloc 0xb40000aaaa000000 16",
      "malloc 0xfffffffffff0 16",
      "malloc 0x800000000000 16",
      "malloc 0xffffffffffe0 64",
    ],
    [
      ["alloc", 0x12345670, 1],
      ["free", 0x12345670, 1],
      ["alloc", 0xaaaa000000, 1],
      ["alloc", 0xfffffffffff0, 1],
      ["alloc", MADE_UP, 1],
      ["alloc", MADE_UP + 16, 4],
    ],
  ],
];

function androidTests(read: Read): void {
  it.each(ANDROID_CASES)("reads %s", async (_, calls, expected) => {
    expect(await eventsOf(read, calls.map((call) => `1: ${call}\n`).join(""))).toEqual(expected);
  });

  it("says the thread, the line as the time, and the byte", async () => {
    const text = "7: malloc 0x10 1\n2147483647: free 0x10\n";
    expect(rowsOf(await read(bytesOf(text)))).toEqual([
      ["alloc", 0x10, 1, 1, 7, 0],
      ["free", 0x10, 1, 2, 2147483647, 17],
    ]);
  });

  it("takes the start as the time, which never goes back", async () => {
    const text =
      "1: malloc 0x10 1 500 600\n2: malloc 0x20 1 400 700\n1: free 0x10 650 651\n1: thread_done 0x0 700\n";
    expect(Array.from((await read(bytesOf(text))).time)).toEqual([500, 500, 650]);
  });

  it("reads a real log as a plain reader does", async () => {
    const text = await unpackedText("malloc/android-systemui.txt.gz");
    const trace = await read(bytesOf(text));
    const rows = rowsOf(trace);
    sameRows(rows, plainAndroid(text));
    expect(rows.length).toBeGreaterThan(38_000);
    // Of a 32-bit program, whose blocks start at multiples of 8.
    expect(rows.filter(([, base]) => base >= MADE_UP).length).toBeGreaterThan(1000);
    checkInvariants(trace);
  });

  it.each([
    ["1: malloc 0x10 1\n1: mallok 0x10 1\n", /^byte 20: expected malloc, calloc.*"1: mallok 0x10 1"$/],
    ["1: malloc 0x10 1\n1: malloc 0x20\n", /^byte 31: expected a number of bytes, but the line ends/],
    ["1: malloc 0x10 1\n1: malloc xyz 5\n", /^byte 27: expected an address in hex, in/],
    ["1: malloc 0x10 1\n99999999999: free 0x10\n", /^byte 17: expected the number of a thread/],
    ["1: malloc 0x10 1\n1: free 0x10 55\n", /^byte 32: expected the end of the call in ns/],
    ["1: malloc 0x10 12x\n", /^byte 17: expected a blank after a number of bytes/],
    [
      "1: malloc 0x10 1\n1: malloc 0x20 1152921504606846976\n",
      /^byte 17: .*1152921504606847000 bytes.* 64 GiB/,
    ],
    ["1: malloc 0x10 1\n1: malloc 0xffffffffffffffff 1\n", /^byte 17: this address.*below 2\^53/],
    ["1: malloc 0x10 1\n1: malloc 0x10000000000000000 1\n", /^byte 17: this address/],
  ])("refuses %j", (text, message) => expectRefusal(read, text, message));

  const SMALL =
    "1: malloc 0x10 1\n2: realloc 0x28 0x10 40 5 6\n1: free 0x28\n3: calloc 0x30 2 3\n3: thread_done 0x0\n";
  it("survives every cut", () => cutEverywhere(read, bytesOf(SMALL), { format: "malloc" }));
  it("survives every change", () => changeEverywhere(read, bytesOf(SMALL), { format: "malloc" }, 1));
}

/** Reads Android's text the plainest way: fields, maps, and no thought of lost calls, of which the sample has none. */
function plainAndroid(text: string): Row[] {
  const rows: Row[] = [];
  const live = new Map<number, [base: number, npages: number]>();
  const spare = new Map<number, number[]>();
  let madeUp = MADE_UP;
  let offset = 0;
  text.split("\n").forEach((line, i) => {
    const [tid, op, ...fields] = line.split(/:? /);
    const numbers = fields.map(Number);
    const row = (kind: string, [base, npages]: [number, number]) =>
      rows.push([kind, base, npages, i + 1, Number(tid), offset]);
    const free = (address: number) => {
      const block = live.get(address);
      if (!block) return;
      live.delete(address);
      if (block[0] >= MADE_UP) spare.set(block[1], [...(spare.get(block[1]) ?? []), block[0]]);
      row("free", block);
    };
    const alloc = (address: number, bytes: number) => {
      const npages = Math.max(1, Math.ceil(bytes / 16));
      let base = address;
      if (address % 16 !== 0) {
        const known = spare.get(npages)?.pop();
        base = known ?? madeUp;
        if (known === undefined) madeUp += npages * 16;
      }
      live.set(address, [base, npages]);
      row("alloc", [base, npages]);
    };
    if (op === "free") free(numbers[0]);
    if (op === "realloc") free(numbers[1]);
    if (op === "malloc") alloc(numbers[0], numbers[1]);
    if (op === "calloc") alloc(numbers[0], numbers[1] * numbers[2]);
    if (op === "memalign" || op === "realloc") alloc(numbers[0], numbers[2]);
    offset += line.length + 1;
  });
  return rows;
}

function heaptrackTests(read: Read): void {
  it("reads sizes, addresses and times in hex, and passes over the rest", async () => {
    const text =
      "v 10400 3\nx d /usr/bin/prog\nX prog\nI 1000 5e\nm 1 -\nt 5e 0\n" +
      "+ ff 1 a0\nc 1f\nR 3b\n- a0\n- b0\n+ 10 1 b400000000000080\nA\n";
    expect(rowsOf(await read(bytesOf(text))).map((row) => row.slice(0, 5))).toEqual([
      ["alloc", 0xa0, 16, 0, -1],
      ["free", 0xa0, 16, 31e6, -1],
      ["alloc", 0x80, 1, 31e6, -1],
    ]);
  });

  it("reads a real file", async () => {
    const text = await unpackedText("malloc/heaptrack.raw.gz");
    const trace = await read(bytesOf(text));
    checkInvariants(trace);
    const expected = text.split("\n").flatMap((line): [string, number][] => {
      const fields = line.split(" ");
      if (fields[0] === "+") return [["alloc", Number.parseInt(fields[3], 16)]];
      return fields[0] === "-" ? [["free", Number.parseInt(fields[1], 16)]] : [];
    });
    expect(expected.length).toBe(115);
    expect(rowsOf(trace).map(([kind, base]) => [kind, base])).toEqual(expected);
  });

  it("says how to record when the file has been interpreted", async () => {
    const text = await unpackedText("malloc/heaptrack-interpreted.gz");
    await expectRefusal(read, text, /^byte \d+: expected .*interpreted.*heaptrack -r/);
  });

  it.each([
    ["v 10800 4\n", /^byte 8: expected a version of the file up to 3/],
    ["v 10400 3\n+ 10 a0\n", /^byte 17: expected a space and an address in hex, but the line ends/],
    ["v 10400 3\n- g0\n", /^byte 12: expected an address in hex/],
    ["v 10400 3\n- a0 b0\n", /^byte 14: expected the end of the line/],
    ["v 10400 3\n? 1\n", /^byte 10: expected a line of heaptrack/],
  ])("refuses %j", (text, message) => expectRefusal(read, text, message));

  it.each(["v 10200 10200\n+ 10 1 a0\n", "v 10000\n+ 10 1 a0\n"])(
    "reads older versions: %j",
    async (text) => {
      expect(await eventsOf(read, text)).toEqual([["alloc", 0xa0, 1]]);
    },
  );

  const SMALL = "v 10400 3\nX prog\nt 5e 0\n+ ff 1 a8\nc 1f\n- a8\n+ 10 1 80\nR 3b\n";
  it("survives every cut", () => cutEverywhere(read, bytesOf(SMALL), { format: "malloc" }));
  it("survives every change", () => changeEverywhere(read, bytesOf(SMALL), { format: "malloc" }, 2));
}

function csvTests(read: Read): void {
  it("reads columns in any order, quoted or not, among others", async () => {
    const text =
      'thread,"note",address,old,op,bytes,time\n' +
      '5,"a, ""b""",0x100,,"malloc",17,"1000"\nmain,,512,0x100,realloc,32,2000\n' +
      "main,x,0x200,,delete,,3000\n,,768,,new,0,3000\n";
    expect(rowsOf(await read(bytesOf(text))).map((row) => row.slice(0, 5))).toEqual([
      ["alloc", 0x100, 2, 1000, 5],
      ["free", 0x100, 2, 2000, 0],
      ["alloc", 0x200, 2, 2000, 0],
      ["free", 0x200, 2, 3000, 0],
      ["alloc", 0x300, 1, 3000, -1],
    ]);
  });

  it("numbers threads whose ids have more than 31 bits", async () => {
    const lines = ["140737353783104", "0x7f00", "140737353783104", "2147483647"].map(
      (thread, i) => `${i},malloc,${16 * i + 16},1,${thread}\n`,
    );
    const trace = await read(bytesOf(`time,op,address,bytes,thread\n${lines.join("")}`));
    expect(Array.from(trace.proc)).toEqual([0, 1, 0, 2147483647]);
  });

  it("reads what bpftrace has written", async () => {
    const trace = await read(bytesOf(await unpackedText("malloc/bpftrace.csv.gz")));
    checkInvariants(trace);
    expect(trace.length).toBe(63);
  });

  it("reads tagged addresses in decimal exactly, and times since 1970 to the nearest number", async () => {
    const text = `time,op,address,bytes\n1795832042938064123,malloc,${(0xb4n << 56n) + 0x7123456789a0n},1\n`;
    const [[, base, , time]] = rowsOf(await read(bytesOf(text)));
    expect([base, time]).toEqual([0x7123456789a0, Number("1795832042938064123")]);
  });

  it.each([
    ["time,op,address\n", /^byte 0: expected a column bytes/],
    ["time,op,address,bytes,op\n", /^byte 0: expected one column op/],
    ["time,op,address,bytes\n1,malloc,16\n", /^byte 33: expected a comma and bytes, but the line ends/],
    ["time,op,address,bytes\n1,malloc,16,\n", /^byte 34: expected bytes, as malloc needs them/],
    ["time,op,address,bytes\n1,realloc,16,5\n", /expected old, the address before/],
    ["time,op,address,bytes\n1,mallocs,16,5\n", /^byte 24: expected an op: malloc, free/],
    ["time,op,address,bytes\n1,constructor,16,5\n", /^byte 24: expected an op/],
    ["time,op,address,bytes\n,malloc,16,5\n", /^byte 22: expected a time in ns/],
    [
      "time,op,address,bytes\n1,free,18446744073709551616,\n",
      /^byte 29: expected an address below 2\^64, in "1,free/,
    ],
    [`time,op,address,bytes\n1,free,${"9".repeat(25)},\n`, /^byte 29: expected an address below 2\^64/],
    [`time,op,address,bytes\n1,free,0x1${"0".repeat(16)},\n`, /^byte 29: expected an address below 2\^64/],
    ["time,op,address,bytes\n1,malloc,,5\n", /^byte 31: expected an address/],
    ["time,op,address,bytes\n1,malloc,16,5,7\n", /^byte 35: expected the end of the line/],
    ['time,op,address,bytes\n1,"malloc,16,5\n', /^byte 31: expected a quote/],
    ["time,op,address,bytes\n1,malloc,99999999999999999999,5\n", /^byte 31: expected an address below 2\^64/],
  ])("refuses %j", (text, message) => expectRefusal(read, text, message));

  const SMALL =
    'time,op,address,bytes,old,thread\n1,malloc,0x18,9,,1\n2,realloc,"64",5,0x18,x\n3,free,64,,,1\n';
  it("survives every cut", () => cutEverywhere(read, bytesOf(SMALL), { format: "malloc" }));
  it("survives every change", () => changeEverywhere(read, bytesOf(SMALL), { format: "malloc" }, 3));
}

function ndjsonTests(read: Read): void {
  it("reads numbers and strings, among other keys in any order", async () => {
    const text = [
      { op: "malloc", address: "0x100", bytes: 17, time: 1000, thread: 5, stack: [{ deep: [1] }, "é"] },
      { time: "2000", op: "realloc", address: 512, old: "256", bytes: "32", thread: "main" },
      { time: 3000, op: "free", address: "0xb400000000000200" },
    ]
      .map((call) => `${JSON.stringify(call)}\n`)
      .join("");
    expect(rowsOf(await read(bytesOf(text))).map((row) => row.slice(0, 5))).toEqual([
      ["alloc", 0x100, 2, 1000, 5],
      ["free", 0x100, 2, 2000, 0],
      ["alloc", 0x200, 2, 2000, 0],
      ["free", 0x200, 2, 3000, -1],
    ]);
  });

  const FIRST = '{"time":1,"op":"malloc","address":16,"bytes":1}\n';
  it.each([
    [`${FIRST}{"time":1,\n`, /^byte 48: expected a JSON object, in/],
    [`${FIRST}null\n`, /^byte 48: expected a JSON object/],
    [`${FIRST}{"time":1,"op":"toString","address":16,"bytes":1}\n`, /^byte 48: expected an op: malloc/],
    [`${FIRST}{"op":"malloc","address":16,"bytes":1}\n`, /^byte 48: expected a time in ns/],
    [
      `${FIRST}{"time":1.5,"op":"malloc","address":16,"bytes":1}\n`,
      /^byte 48: expected time in ns, an integer/,
    ],
    [`${FIRST}{"time":1,"op":"malloc","address":1e16,"bytes":1}\n`, /^byte 48: expected address, a string/],
    [
      `${FIRST}{"time":1,"op":"free","address":"18446744073709551616"}\n`,
      /^byte 48: expected address, an address below 2\^64, in/,
    ],
    [`${FIRST}{"time":1,"op":"malloc","address":16}\n`, /^byte 48: expected bytes, as malloc/],
    [`${FIRST}{"time":1,"op":"free","address":16,"thread":{}}\n`, /^byte 48: expected a thread/],
    [`${FIRST}${"[".repeat(60_000)}\n`, /^byte 48: expected a JSON object/],
  ])("refuses %j", (text, message) => expectRefusal(read, text, message));

  const SMALL = `${FIRST}{"time":"2","op":"realloc","address":"0x28","old":16,"bytes":9}\n`;
  it("survives every cut", () => cutEverywhere(read, bytesOf(SMALL), { format: "malloc" }));
  it("survives every change", () => changeEverywhere(read, bytesOf(SMALL), { format: "malloc" }, 4));
}

function lineTests({ trace: { readTrace: read } }: Subject): void {
  const LINES = ["1: malloc 0x10 1", "2: malloc 0x20 40", "", "  1: free 0x10", "2: realloc 0x50 0x20 5"];
  const KINDS = ["alloc", "alloc", "free", "free", "alloc"];
  const kindsOf = async (source: Parameters<Read>[0]) => rowsOf(await read(source)).map(([kind]) => kind);

  it("ends lines with \\n or \\r\\n, and the last one with none", async () => {
    expect(await kindsOf(bytesOf(LINES.join("\n")))).toEqual(KINDS);
    expect(await kindsOf(bytesOf(`${LINES.join("\r\n")}\r\n`))).toEqual(KINDS);
    expect(await kindsOf(bytesOf(`\n\r\n${LINES.join("\n\n")}`))).toEqual(KINDS);
    expect(await kindsOf(bytesOf(`\ufeff${LINES.join("\n")}`))).toEqual(KINDS);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 50])("reads blocks of %i bytes as it reads the whole", async (size) => {
    const data = bytesOf(`${LINES.join("\r\n")}\n${LINES.join("\n")}`);
    const whole = rowsOf(await read(data));
    expect(whole.length).toBeGreaterThan(9);
    expect(rowsOf(await read(inBlocks(data, size)))).toEqual(whole);
  });

  it.each([
    `1: free 0x10\n1: malloc 0x10 1 ${"9".repeat(20)} ${"9".repeat(20)}\n`,
    `v 10400 3\n+ 1 1 10\nc ${"f".repeat(16)}\n+ 1 1 20\n`,
    `time,op,address,bytes\n${"9".repeat(21)},malloc,0x10,1\n`,
    `{"time":1,"op":"free","address":"0x10"}\n{"time":"${"9".repeat(400)}","op":"malloc","address":16,"bytes":1}\n`,
  ])("refuses a time that no clock has: %#", async (text) => {
    const at = [13, 38, 22, 40][[..."1vt{"].indexOf(text[0])];
    await expect(read(bytesOf(text))).rejects.toMatchObject({
      code: "ERR_TRACE",
      message: `byte ${at}: times are below 2^64 ns; the file is damaged`,
    });
  });

  it.each([
    `1: free 0x${"1".repeat(17)}\n`,
    `1: realloc 0x10 0x${"1".repeat(17)} 1\n`,
    `v 10400 3\n- ${"1".repeat(17)}\n`,
    "time,op,address,bytes\n1,free,0x20000000000000,\n",
  ])("refuses to free what no address is: %j", async (text) => {
    const at = text.startsWith("1") ? 0 : text.indexOf("\n") + 1;
    await expect(read(bytesOf(text))).rejects.toMatchObject({
      code: "ERR_TRACE",
      message: `byte ${at}: this address is impossible; addresses are below 2^53, without a tag`,
    });
  });

  it("names the byte in the middle of blocks", async () => {
    const data = bytesOf(`${LINES.join("\n")}\n1: oops\n`);
    for (const size of [1, 7, 30, 1000]) {
      await expect(read(inBlocks(data, size))).rejects.toThrow(/^byte 77: expected malloc/);
    }
  });

  it("takes a last line that is not whole as the end, and says so", async () => {
    const trace = await read(bytesOf("1: malloc 0x10 1\n1: malloc 0x20"));
    expect(trace.length).toBe(1);
    expect(trace.cutShort).toMatch(/^its last line is not whole: byte 31/);
  });

  it.each([1000, 2 ** 20])("refuses a line of more than 65,536 bytes, in blocks of %i", async (size) => {
    const fits = `1: malloc 0x10 1\n1: free 0x10${" ".repeat(65536 - 12)}\n`;
    expect((await read(inBlocks(bytesOf(fits), size))).length).toBe(2);
    const long = `1: malloc 0x10 1\n1: free 0x10${" ".repeat(65536 - 11)}\n`;
    await expect(read(inBlocks(bytesOf(long), size))).rejects.toThrow(
      /^byte 17: a line of more than 65536 bytes/,
    );
  });

  it("refuses what is no log, when it is told to read one", async () => {
    const refusal = { code: "ERR_TRACE", message: expect.stringMatching(/^byte 0: expected the first line/) };
    await expect(read(bytesOf("hello\nworld\n"), { format: "malloc" })).rejects.toMatchObject(refusal);
  });
}
