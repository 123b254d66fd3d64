// The command line: what can be asked for, and what is wrong usage.

import { Argument, Command, CommanderError, Option } from "commander";
import { type Output, type ReplayRequest, replayTraces } from "./replay.ts";

/** What the command gets from the process that runs it. */
export interface Host extends Output {
  /** The package's. */
  readonly version: string;
  /** What is replayed when no trace is named. */
  readonly carriedTrace: URL;
}

const WRONG_USAGE = 2;

const EXAMPLES = `
Examples:
  $ palloc replay                                    the carried trace, on WebAssembly
  $ palloc replay --engine ts --scavenge none a.pt   pure TypeScript, no page released
  $ palloc replay --csv a.pt > a.csv                 memory over time, to plot

Exit status: 0, 1 when a trace is bad or cannot be read, 2 for wrong usage.`;

/** Runs the command with the arguments that follow its name. Returns the exit status. */
export async function runCommand(args: readonly string[], host: Host): Promise<number> {
  let status = 0;
  const program = new Command("palloc")
    .description(
      "A page allocator and scavenger, the Go runtime's design: replays what real programs did with it.",
    )
    .version(host.version)
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
    })
    .showHelpAfterError("Try palloc --help.")
    .exitOverride();
  addReplay(program).action(async (traces: string[], options: Omit<ReplayRequest, "traces">) => {
    const named = traces.map((path) => ({ name: path, path }));
    const carried = { name: host.carriedTrace.pathname.replace(/^.*\//, ""), path: host.carriedTrace };
    status = await replayTraces({ ...options, traces: named.length > 0 ? named : [carried] }, host);
  });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    // Commander has said what there is to say. It ends --help and --version this way too, with status 0.
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : WRONG_USAGE;
  }
  return status;
}

function addReplay(program: Command): Command {
  return program
    .command("replay")
    .description("Replay page traces of Go programs on a heap, and tell how much memory they took.")
    .addArgument(
      new Argument("[trace...]", "page traces, plain or gzipped").default([], "one of a Go compile"),
    )
    .addOption(new Option("--engine <engine>", "what to run on").choices(["wasm", "ts"]).default("wasm"))
    .addOption(
      new Option("--scavenge <policy>", "which free pages to release")
        .choices(["none", "recorded"])
        .default("recorded"),
    )
    .addOption(new Option("--json", "print the report and the series, one line a trace").conflicts("csv"))
    .addOption(new Option("--csv", "print the series"))
    .addHelpText("after", EXAMPLES);
}
