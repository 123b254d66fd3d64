// Whole programs: the page events of real Go programs, replayed.

/** The traces, by file name. */
export const TRACES = ["go-compile-runtime.pt.gz", "gofmt-std.pt.gz"];

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
      },
      {
        ...about,
        name: "replay, all of the call",
        create: ({ PageAlloc }) => ({
          unitsPerOperation: trace.length,
          most: 1,
          run: () => replay(PageAlloc, trace, options).addressMatches,
        }),
      },
    ];
  });
