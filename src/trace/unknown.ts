// Tells people what a file is that is not a trace, and how to record one that can be read.

/** A kind of file: whether the first bytes are of it, what it is called, and what to do. */
interface Kind {
  readonly is: (start: Uint8Array, text: string) => boolean;
  readonly name: string | ((text: string) => string);
  readonly advice: string;
}

const RECORD_GO =
  "with Go 1.23 or later, run GODEBUG=traceallocfree=1 go test -trace=FILE, or a program that calls " +
  "runtime/trace, with that GODEBUG";
const RECORD_C = "record the program's allocations by heaptrack --raw, or write its log of mallocs as CSV";
const SUMMARY = `it has sums, not single allocations; ${RECORD_C}`;
const UNPACK = "unpack it first, and give the file inside";
const CONVERT = "if it is a log of allocations, convert it to CSV with the columns time,op,address,bytes";

/** The kinds that can be told. The first that fits is named, so those with the weakest signs come last. */
const KINDS: readonly Kind[] = [
  { is: (start) => start.length === 0, name: "is empty", advice: "the program may not have written it yet" },
  { is: starts("\x1f\x8b"), name: "is gzip within a packed file", advice: UNPACK },
  { is: starts("\x28\xb5\x2f\xfd"), name: "is zstd within a packed file", advice: UNPACK },
  { is: starts("PK\x03\x04", "PK\x05\x06"), name: "is a zip archive", advice: UNPACK },
  { is: starts("BZh"), name: "is packed by bzip2", advice: UNPACK },
  { is: starts("\xfd7zXZ\0"), name: "is packed by xz", advice: UNPACK },
  { is: starts("\x04\x22\x4d\x18"), name: "is packed by lz4", advice: UNPACK },
  { is: (_, text) => text.startsWith("ustar", 257), name: "is a tar archive", advice: UNPACK },
  {
    is: (start, text) => isElf(text) && elfType(start) === 4,
    name: "is a core file",
    advice: `it shows one moment, not what came before; ${RECORD_C}`,
  },
  { is: (_, text) => isElf(text), name: "is an ELF program or library", advice: `run it; ${RECORD_C}` },
  {
    // 0xcafebabe is a Java class too, which has its version where a Mach-O file has its number of parts.
    is: (start, text) =>
      starts("\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe")(start, text) ||
      (text.startsWith("\xca\xfe\xba\xbe") && bigEndian(start, 4) < 32),
    name: "is a Mach-O program or library",
    advice: `run it; ${RECORD_C}`,
  },
  {
    is: starts("PERFILE2"),
    name: "is perf.data",
    advice: "give the output of perf script: of perf record -e kmem:mm_page_alloc,kmem:mm_page_free",
  },
  {
    is: starts("memray"),
    name: "is a recording of memray",
    advice:
      "memray has no export of single allocations with addresses; record the program by heaptrack --raw",
  },
  {
    is: starts("SQLite format 3\0"),
    name: "is an SQLite database, as Nsight Systems exports them",
    advice:
      "for GPU memory, give a PyTorch snapshot: torch.cuda.memory._record_memory_history(), then _dump_snapshot(FILE)",
  },
  {
    is: starts("heap_v2/"),
    name: "is a heap profile of jemalloc",
    advice: SUMMARY,
  },
  {
    is: starts("heap profile:"),
    name: "is a heap profile in text, of pprof or tcmalloc",
    advice: `it has sums, not single allocations. Of a Go program: ${RECORD_GO}. Of others: ${RECORD_C}`,
  },
  { is: starts("desc:"), name: "is the output of Valgrind's massif", advice: SUMMARY },
  { is: (_, text) => /^\{\s*"dhatFileVersion"/.test(text), name: "is the output of DHAT", advice: SUMMARY },
  {
    is: (_, text) => /^\{\s*"snapshot"\s*:\s*\{/.test(text),
    name: "is a heap snapshot or allocation timeline of V8",
    advice: "it has objects, not pages, and no frees; V8 records nothing that can be read",
  },
  {
    is: (_, text) =>
      /^\{\s*"(traceEvents|displayTimeUnit|metadata)"|^\[\s*\{\s*"(name|ph|cat|pid|ts|args)"/.test(text),
    name: "is a trace of Chrome in JSON",
    advice: `it has no allocations with addresses; ${CONVERT}`,
  },
  {
    is: isPprof,
    name: "seems to be a profile of pprof",
    advice: `it has sums, not single allocations. Of a Go program: ${RECORD_GO}. Of others: ${RECORD_C}`,
  },
  {
    is: isPerfetto,
    name: "seems to be a trace of Perfetto",
    advice: `its heap profiles have sums, not single allocations; ${RECORD_C}`,
  },
  {
    is: (_, text) => /^\s*<(!doctype html|html|head)/i.test(text),
    name: "is HTML",
    advice: "was it downloaded?",
  },
  {
    is: starts("\xff\xfe", "\xfe\xff"),
    name: "is text in UTF-16",
    advice: "convert it to UTF-8 first, for example by iconv -f UTF-16 -t UTF-8",
  },
  {
    is: (start, text) => /^\s*[[{]/.test(text) && isText(start),
    name: "is JSON of another kind",
    advice: CONVERT,
  },
  { is: isText, name: "is text of another kind", advice: CONVERT },
];

/** Returns a message about a file of no known format, by its first bytes: 4,096, or all that there are. */
export function describeUnknown(start: Uint8Array): string {
  // A character a byte.
  const text = String.fromCharCode(...start.subarray(0, 4096));
  const kind = KINDS.find(({ is }) => is(start, text));
  if (!kind) {
    const bytes = Array.from(start.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const reason = `this is no trace of a known format; it begins with the bytes ${bytes}`;
    return `byte 0: ${reason}. Of a Go program: ${RECORD_GO}`;
  }
  const name = typeof kind.name === "string" ? kind.name : kind.name(text);
  return `byte 0: this ${name}, which is no trace that can be read; ${kind.advice}`;
}

/** Returns a test for files that begin with one of the texts, a character a byte. */
function starts(...texts: string[]): Kind["is"] {
  return (_, text) => texts.some((each) => text.startsWith(each));
}

function isElf(text: string): boolean {
  return text.startsWith("\x7fELF");
}

/** Returns e_type: 4 for a core file. */
function elfType(start: Uint8Array): number {
  const isBigEndian = start[5] === 2;
  return isBigEndian ? start[17] : start[16];
}

function bigEndian(start: Uint8Array, at: number): number {
  return start.slice(at, at + 4).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** A profile begins with the types of its samples, each of two short numbers. */
function isPprof(start: Uint8Array): boolean {
  const next = start[2 + start[1]];
  return start[0] === 0x0a && start[1] <= 12 && start[2] === 0x08 && (next === 0x0a || next === 0x12);
}

/** A trace is packets, each with its length before it. The next begins as the first does. */
function isPerfetto(start: Uint8Array): boolean {
  if (start[0] !== 0x0a || isText(start)) return false;
  let at = 1;
  let length = 0;
  for (let shift = 1; at < 5; shift *= 128) {
    length += (start[at] & 127) * shift;
    if (start[at++] < 128) break;
  }
  const end = at + length;
  return (
    length > 1 && (end < start.length ? start[end] === 0x0a : start.length === 4096 || end === start.length)
  );
}

/** Reports whether bytes are UTF-8 without the control characters that text does not have. */
function isText(start: Uint8Array): boolean {
  if (start.some((byte) => byte < 32 && !(byte >= 9 && byte <= 13) && byte !== 27)) return false;
  try {
    // A character may be cut off at the end.
    new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: true });
    return true;
  } catch {
    return false;
  }
}
