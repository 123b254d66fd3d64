// What readTrace says of files that are no traces: what they look like, and what to do.
import { describe, expect, it } from "vitest";
import type { Subject } from "../../support/subject.ts";
import { gzip } from "../../support/trace-words.ts";

/** Bytes of a text, a character a byte. */
const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const elf = (type: number) =>
  bytes(`\x7fELF\x02\x01\x01${"\0".repeat(9)}${String.fromCharCode(type)}\0\x3e\0`);
/** Two packets: a clock snapshot, and a uid. */
const PERFETTO = "\n\x05\x32\x03\x0a\x01\x08\n\x02\x18\x00";

/** First bytes, what they are called, and words of the advice. */
const FILES: [what: string, start: string, name: string, advice: string][] = [
  ["Go 1.11", "go 1.11 trace\0\0\0", "a Go execution trace without page events", "GODEBUG"],
  ["Go 1.21", "go 1.21 trace\0\0\0", "without page events", "traceallocfree=1 go test -trace=FILE"],
  ["zip", "PK\x03\x04\x14\0", "a zip archive", "unpack it first"],
  ["an empty zip", "PK\x05\x06\0\0", "a zip archive", "unpack it first"],
  ["bzip2", "BZh91AY", "packed by bzip2", "unpack it first"],
  ["xz", "\xfd7zXZ\0\0\x04", "packed by xz", "unpack it first"],
  ["lz4", "\x04\x22\x4d\x18\x64", "packed by lz4", "unpack it first"],
  ["tar", `${"name".padEnd(257, "\0")}ustar\x0000`, "a tar archive", "unpack it first"],
  ["Mach-O", "\xcf\xfa\xed\xfe\x07\0\0\x01", "a Mach-O program", "heaptrack --raw"],
  ["Mach-O of two parts", "\xca\xfe\xba\xbe\0\0\0\x02", "a Mach-O program", "heaptrack --raw"],
  ["a Java class", "\xca\xfe\xba\xbe\0\0\0\x3d", "begins with the bytes ca fe ba be 00 00 00 3d", "GODEBUG"],
  ["perf.data", "PERFILE2\x68\0", "perf.data", "perf script"],
  ["memray", "memray\0\x0c\0", "a recording of memray", "heaptrack --raw"],
  ["SQLite", "SQLite format 3\0\x10\0", "an SQLite database", "torch.cuda.memory"],
  ["jemalloc", "heap_v2/524288\n  t*: 1: 2 [0: 0]\n", "a heap profile of jemalloc", "sums"],
  ["a legacy profile", "heap profile: 1: 2 [3: 4] @ heap/1048576\n", "of pprof or tcmalloc", "GODEBUG"],
  ["massif", "desc: --time-unit=B\ncmd: ./a.out\n", "Valgrind's massif", "sums"],
  ["DHAT", '{"dhatFileVersion":2,"mode":"heap"', "the output of DHAT", "sums"],
  ["a heap snapshot", '{"snapshot":{"meta":{}}', "a heap snapshot or allocation timeline of V8", "no frees"],
  ["a Chrome trace", '{"traceEvents":[{"pid":1', "a trace of Chrome", "time,op,address,bytes"],
  ["a Chrome trace as a list", '[{"name":"a","ph":"X"', "a trace of Chrome", "time,op,address,bytes"],
  ["pprof", "\n\x04\x08\x01\x10\x02\n\x04\x08\x03\x10\x04\x12", "seems to be a profile of pprof", "GODEBUG"],
  ["Perfetto", PERFETTO, "seems to be a trace of Perfetto", "heaptrack --raw"],
  ["HTML", "<!DOCTYPE html><html>", "is HTML", "was it downloaded?"],
  ["UTF-16", "\xff\xfe1\x00,\x00", "text in UTF-16", "iconv"],
  ["JSON", '{"a": 1}', "JSON of another kind", "time,op,address,bytes"],
  ["text", "Hello, w\xc3\xb6rld\n\tof text\n", "text of another kind", "time,op,address,bytes"],
  ["a blank first line", "\nHello\n", "text of another kind", "time,op,address,bytes"],
  ["other bytes", "\x01\x02\xff\x00\x10", "begins with the bytes 01 02 ff 00 10", "GODEBUG"],
];

export function unknownSuite({ palloc: { PageAllocError }, trace: { readTrace, openTrace } }: Subject): void {
  async function messageOf(file: Uint8Array): Promise<string> {
    const error = await readTrace(file).catch((error) => error);
    expect(error).toBeInstanceOf(PageAllocError);
    expect(error.code).toBe("ERR_TRACE");
    expect(error.message).toMatch(/^byte 0: this /);
    expect((await openTrace(file).catch((error) => error)).message).toBe(error.message);
    return error.message;
  }

  describe("a file of no known format is named, and what to do is said", () => {
    it.each(FILES)("%s", async (_, start, name, advice) => {
      const message = await messageOf(bytes(start));
      expect(message).toContain(name);
      expect(message).toContain(advice);
      expect(await messageOf(await gzip(bytes(start)))).toBe(message);
    });

    it("an empty file, also when packed", async () => {
      expect(await messageOf(new Uint8Array(0))).toContain("this is empty");
      expect(await messageOf(await gzip(new Uint8Array(0)))).toContain("this is empty");
    });

    it("a core file, and a program", async () => {
      expect(await messageOf(elf(4))).toContain("is a core file");
      expect(await messageOf(elf(3))).toContain("is an ELF program or library");
      const bigEndian = elf(0);
      bigEndian.set([2], 5);
      bigEndian.set([4], 17);
      expect(await messageOf(bigEndian)).toContain("is a core file");
    });

    it("packed twice", async () => {
      expect(await messageOf(await gzip(await gzip(bytes("x"))))).toContain("is gzip within a packed file");
      expect(await messageOf(await gzip(bytes("\x28\xb5\x2f\xfd\x04")))).toContain(
        "is zstd within a packed file",
      );
    });

    it("text whose 4,096th byte is in mid-character", async () => {
      expect(await messageOf(bytes(`${"x".repeat(4095)}\xc3\xb6`))).toContain("text of another kind");
    });
  });
}
