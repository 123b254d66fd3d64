// The small program that every environment runs, as source text: an ES module or CommonJS, for any entries.

/** The entries with heaps. The program uses `palloc/arena` and `palloc/trace` beside each. */
const ENTRIES = ["palloc", "palloc/ts", "palloc/shared", "palloc/ts/shared"];
const ARENA = "palloc/arena";
const TRACE = "palloc/trace";

const MARK = "palloc tried out: ";
const PLAIN = { a: 0, b: 819200, released: 819200, inUse: 32768, error: "ERR_NOT_ALLOCATED" };

/** Runs in the environments, as text. So it must not use anything outside itself. */
async function tryOut(entry, { PageAlloc, PageAllocError }, arena, trace) {
  const codeOf = (error) => (error instanceof PageAllocError ? error.code : String(error));
  const heap = new PageAlloc();
  heap.grow(0, 16 * 2 ** 20);
  const a = heap.alloc(100);
  const b = heap.alloc(4);
  heap.free(a, 100);
  heap.resetScavengeAddr();
  const released = heap.scavenge(800 * 1024);
  const copy = PageAlloc.restore(heap.snapshot());
  copy.check();
  const result = { a, b, released, inUse: copy.stats().inUse };
  try {
    copy.free(a, 100);
  } catch (error) {
    result.error = codeOf(error);
  }
  if (arena) {
    const parts = new arena.Arena(PageAlloc, new ArrayBuffer(4096));
    result.arena = [parts.alloc(300), parts.alloc(1)];
    try {
      parts.free(256);
    } catch (error) {
      result.arena.push(codeOf(error));
    }
  }
  if (trace) {
    result.trace = await trace.readPageTrace(new Uint8Array(64)).then(String, codeOf);
    // A trace of one event, packed by zstd.
    const zstd = Uint8Array.from(atob("KLUv/SQYpQAAYAQACAAJAAAAwAAAAAIAYOABYAHwyfHz"), (byte) =>
      byte.charCodeAt(0),
    );
    result.zstd = await trace.readPageTrace(zstd).then(({ length }) => length, codeOf);
  }
  if (!entry.endsWith("shared")) return result;
  try {
    const first = new PageAlloc({ shared: true });
    first.grow(0, 16 * 2 ** 20);
    PageAlloc.attach(first.handle).alloc(3);
    result.shared = first.stats().inUse;
  } catch (error) {
    result.shared = codeOf(error);
  }
  return result;
}

/**
 * Returns the program's source. It ends with `tail`, which may call `tryAll()`. That returns a promise of the line that
 * the program must print, and never rejects. Without `withOthers` the program leaves out `palloc/arena` and
 * `palloc/trace`.
 */
export function program({
  entries = ENTRIES,
  withOthers = true,
  commonJs = false,
  tail = "tryAll().then((line) => console.log(line));",
} = {}) {
  const load = (name, as) =>
    commonJs ? `const ${as} = require("${name}");` : `import * as ${as} from "${name}";`;
  const loads = [
    ...entries.map((name, i) => load(name, `entry${i}`)),
    ...(withOthers
      ? [load(ARENA, "arena"), load(TRACE, "trace")]
      : ["const arena = undefined;", "const trace = undefined;"]),
  ];
  const calls = entries.map((name, i) => `"${name}": await tryOut("${name}", entry${i}, arena, trace),`);
  return `${loads.join("\n")}

${tryOut}

async function tryAll() {
  try {
    return "${MARK}" + JSON.stringify({
      ${calls.join("\n      ")}
    });
  } catch (error) {
    return "${MARK}" + error + " " + error.stack;
  }
}

${tail}
`;
}

/**
 * Returns the line that the program must print. `shared` is whether the environment can share memory, `zstd` whether it
 * compiles WebAssembly at run time.
 */
export function expected({ entries = ENTRIES, withOthers = true, shared = true, zstd = true } = {}) {
  const results = entries.map((name) => [
    name,
    {
      ...PLAIN,
      ...(withOthers && {
        arena: [0, 512, "ERR_NOT_ALLOCATED"],
        trace: "ERR_TRACE",
        zstd: zstd ? 1 : "ERR_WASM_UNAVAILABLE",
      }),
      ...(name.endsWith("shared") && { shared: shared ? 24576 : "ERR_NOT_ISOLATED" }),
    },
  ]);
  return MARK + JSON.stringify(Object.fromEntries(results));
}

/** Throws unless the output has the line that the program must print. */
export function checkOutput(output, options) {
  const line = output.split("\n").find((text) => text.includes(MARK));
  const want = expected(options);
  if (line?.trim() !== want)
    throw new Error(`The program should have printed\n${want}\nbut printed\n${line ?? output}`);
}

/** Returns whether a line is the program's. */
export const isReport = (line) => line.startsWith(MARK);
