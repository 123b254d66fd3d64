// Whole programs: the page events of real Go programs, replayed.

const PAGE = 8192;

/** The traces, by file name. */
export const TRACES = ["go-compile-runtime.pt.gz", "gofmt-std.pt.gz"];

/** Returns what to ask of the C program. Its input has five words per event. */
const nativeOf = (name, { length, kind, npages, proc, base }) => ({
  args: [name, length],
  input() {
    const words = new Uint32Array(5 * length);
    for (let i = 0; i < length; i++) {
      const page = base[i] / PAGE;
      words.set([kind[i], npages[i], proc[i], page % 2 ** 32, page / 2 ** 32], 5 * i);
    }
    return words;
  },
});

/** Returns the cases. `traces` has the traces by file name, and `replay` is that of `palloc/trace`. */
export const replayCases = (traces, replay) =>
  Object.entries(traces).flatMap(([file, trace]) => {
    const about = {
      group: "replay, per event",
      input: file.replace(".pt.gz", ""),
      rate: "M events/s",
      columns: ["ts", "wasm"],
    };
    const options = { scavenge: "none", samples: 0 };
    return [
      {
        ...about,
        name: "replay, its own clock",
        create({ PageAlloc }) {
          let elapsedMs = 0;
          return {
            unitsPerOperation: trace.length,
            most: 1,
            clock: () => elapsedMs,
            run() {
              const report = replay(PageAlloc, trace, options);
              elapsedMs = report.elapsedMs;
              return report.addressMatches;
            },
          };
        },
        native: nativeOf("replay", trace),
      },
      {
        ...about,
        name: "replay, all of the call",
        create: ({ PageAlloc }) => ({
          unitsPerOperation: trace.length,
          most: 1,
          run: () => replay(PageAlloc, trace, options).addressMatches,
        }),
        native: nativeOf("replayAll", trace),
      },
    ];
  });
