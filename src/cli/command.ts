// The command line: its arguments, options and usage errors.

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { PolicyKind } from "palloc/lab";
import type { BenchFiles, BenchRequest } from "./bench.ts";
import type { ConvertRequest } from "./convert.ts";
import type { InfoRequest } from "./info.ts";
import { complain, OutputError, print } from "./output.ts";
import type { ReadHost } from "./reading.ts";
import type { ReplayRequest } from "./replay.ts";
import type { SimulateRequest } from "./simulate.ts";

/** What the process gives to the command. */
export interface Host extends ReadHost, BenchFiles {
  /** The trace to replay if none is named. */
  readonly bundledTrace: URL;
}

const FAILED = 1;
const WRONG_USAGE = 2;
/** What a shell reports for a command that SIGPIPE ended: the usual end when the reader stops early. */
const NO_READER = 128 + 13;

const STDIN = "-";
const ADVICE = "Try palloc --help.";
const MOST_PORT = 65_535;

const EXAMPLES = `
Examples:
  $ palloc replay                                    the bundled trace, on WebAssembly
  $ palloc replay --engine ts --scavenge none a.pt   pure TypeScript, no page released
  $ palloc replay --csv a.pt > a.csv                 memory over time, to plot
  $ xz -dc a.pt.xz | palloc replay -                 a trace from standard input

How much of a CUDA reserve was fragmentation, and what first fit would have needed:
  $ palloc replay --placement recorded snapshot.pickle
  $ palloc replay --growth needed snapshot.pickle

Exit status: 0, 1 when a trace is bad or cannot be read or the output cannot be written, 2 for wrong usage, 141 when
the reader of the output has gone.`;

/** Runs the command. `args` are the arguments after its name. Returns the exit status. */
export async function runCommand(args: readonly string[], host: Host): Promise<number> {
  // Each write reports its own failure. Without a listener the stream's error event would be an uncaught exception.
  for (const stream of [host.stdout, host.stderr]) stream.on("error", () => {});
  try {
    return await runProgram(args, host);
  } catch (error) {
    if (!(error instanceof OutputError)) throw error;
    if (error.code === "EPIPE") return NO_READER;
    await complain(host.stderr, `cannot write: ${error.message}`);
    return FAILED;
  }
}

async function runProgram(args: readonly string[], host: Host): Promise<number> {
  let status = 0;
  let said = "";
  const program = new Command("palloc")
    .description(
      "A page allocator and scavenger, the Go runtime's design. Replays what real programs did with their pages.",
    )
    .version(host.version)
    .configureOutput({
      writeOut: (text) => {
        said += text;
      },
      writeErr: (text) => host.stderr.write(text),
    })
    .showHelpAfterError(ADVICE)
    .exitOverride();
  addReplay(program).action(async (names: string[], options: Omit<ReplayRequest, "traces">) => {
    const { replayTraces } = await import("./replay.ts");
    status = await replayTraces({ ...options, traces: names.length > 0 ? names : [host.bundledTrace] }, host);
  });
  // The list of policies is loaded only where it may be shown.
  const kinds = args[0] === "simulate" ? (await import("palloc/lab")).POLICIES : [];
  addSimulate(program, kinds).action(async (names: string[], options: Omit<SimulateRequest, "trace">) => {
    const { simulatePolicies } = await import("./simulate.ts");
    status = await simulatePolicies({ ...options, trace: names[0] ?? host.bundledTrace }, host);
  });
  addConvert(program).action(
    async (input: string, output: string, options: Omit<ConvertRequest, "input" | "output">) => {
      const { convert } = await import("./convert.ts");
      status = await convert({ ...options, input, output }, host);
    },
  );
  addInfo(program).action(async (files: string[], options: Omit<InfoRequest, "files">) => {
    const { info } = await import("./info.ts");
    status = await info({ ...options, files }, host);
  });
  addBench(program).action(async (options: BenchRequest) => {
    const { bench } = await import("./bench.ts");
    try {
      await bench(options, host, host);
    } catch (error) {
      if (error instanceof OutputError) throw error;
      await complain(host.stderr, `bench: ${(error as Error).message}`);
      status = FAILED;
    }
  });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      await print(host.stderr, refusal(error)).catch(() => {});
      return WRONG_USAGE;
    }
    // Commander has printed its message. It throws for --help and --version too, with status 0.
    if (said) await print(host.stdout, said);
    return error.exitCode === 0 ? 0 : WRONG_USAGE;
  }
  return status;
}

/** Returns what to print about an option that the library refuses. Throws any other error. */
function refusal(error: unknown): string {
  if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
  if (!/^(options\.|policy\b)/.test(error.message)) throw error;
  const message = error.message.replace(/\boptions\.(\w+)/g, (_, name: string) => `--${kebab(name)}`);
  return `error: ${message}\n${ADVICE}\n`;
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function addReplay(program: Command): Command {
  const command = program
    .command("replay")
    .description(
      "Replay traces on a heap, and report where the allocations went and how much memory they took.",
    )
    .addArgument(
      new Argument("[trace...]", "traces of any format, plain, gzip or zstd; - is standard input")
        .default([], "one of a Go compile")
        .argParser(addTrace),
    );
  addHeap(command).addOption(
    new Option(
      "--scavenge <policy>",
      "which free pages to release (default: recorded, or none with larger pages than the trace's)",
    ).choices(["none", "recorded"]),
  );
  return addReading(command)
    .addOption(new Option("--json", "print the report and the series, one line per trace").conflicts("csv"))
    .addOption(new Option("--csv", "print the series"))
    .addHelpText("after", EXAMPLES);
}

function addSimulate(program: Command, kinds: readonly PolicyKind[]): Command {
  const command = program
    .command("simulate")
    .description("Say what scavengers of Go and of other allocators would have done with a program's memory.")
    .addArgument(
      new Argument("[trace]", "trace of any format, plain, gzip or zstd; - is standard input")
        .default([], "one of a Go compile")
        .argParser(addTrace),
    )
    .addOption(new Option("--policy <policy>", "what releases memory; see below").default("go"))
    .addOption(
      new Option("--compare <policy>", "another policy to show beside it; can be given more than once")
        .default([], "none")
        .argParser((policy: string, others: readonly string[]) => [...others, policy]),
    )
    .addOption(
      new Option(
        "--mode <mode>",
        "where the collector's cycles are from (default: log-driven where they are known, else trace-only)",
      ).choices(["recorded", "log-driven", "trace-only"]),
    )
    .addOption(
      new Option("--costs <model>", "what releases and faults cost")
        .choices(["go", "measured"])
        .default("go"),
    )
    .addOption(
      new Option("--memory-limit <bytes>", "most bytes to retain, for policies that have a limit").argParser(
        parseBytes,
      ),
    )
    .addOption(new Option("--plot", "plot what is retained over time"))
    .addOption(new Option("--json", "print the reports, one line per policy").conflicts("plot"));
  return addGcLog(addReading(addHeap(command))).addHelpText("after", policiesHelp(kinds));
}

/** Returns the policies with their options, for people. */
function policiesHelp(kinds: readonly PolicyKind[]): string {
  const lines = kinds.flatMap(({ name, about, options }) => [
    `  ${name.padEnd(20)} ${about}`,
    ...Object.entries(options).map(
      ([option, { about, default: byDefault }]) =>
        `    ${option.padEnd(18)} ${about} (default: ${byDefault})`,
    ),
  ]);
  return `\nPolicies, as name or name:option=value,option=value:\n${lines.join("\n")}`;
}

function addConvert(program: Command): Command {
  const command = program
    .command("convert")
    .description("Convert a trace of any format to palloc's own, or to a page trace of Go.")
    .argument("<in>", "trace, plain, gzip or zstd; - is standard input")
    .argument("<out>", "file to write, gzipped if it ends in .gz; - is standard output")
    .addOption(
      new Option(
        "--to <format>",
        "format to write (default: go-page-trace if <out> ends in .pt or .pt.gz, else neutral)",
      ).choices(["neutral", "go-page-trace"]),
    );
  return addGcLog(addReading(command));
}

function addInfo(program: Command): Command {
  const command = program
    .command("info")
    .description("Say what a trace is: its format, events, time, peak, sizes, and what can be asked of it.")
    .addArgument(
      new Argument("<file...>", "traces, plain, gzip or zstd; - is standard input").argParser(addTrace),
    )
    .addOption(new Option("--json", "print one line of JSON per trace"));
  return addGcLog(addReading(command));
}

/** Adds the options of the heap that a trace is replayed on. */
function addHeap(command: Command): Command {
  return command
    .addOption(new Option("--engine <engine>", "engine to run on").choices(["wasm", "ts"]).default("wasm"))
    .addOption(
      new Option("--placement <policy>", "where allocations go (default: first-fit)").choices([
        "first-fit",
        "recorded",
      ]),
    )
    .addOption(
      new Option(
        "--growth <policy>",
        "how the heap grows: as the trace recorded it, or only when there is no room (default: recorded)",
      ).choices(["recorded", "needed"]),
    )
    .addOption(
      new Option("--page-size <bytes>", "bytes per page of the heap (default: the trace's)").argParser(
        parseBytes,
      ),
    )
    .addOption(
      new Option("--phys-page-size <bytes>", "bytes per page of the system (default: 4K)").argParser(
        parseBytes,
      ),
    )
    .addOption(
      new Option(
        "--phys-huge-page-size <bytes>",
        "bytes per huge page of the system (default: 2M)",
      ).argParser(parseBytes),
    );
}

/** Adds the options about the log beside a page trace. */
function addGcLog(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--gc-log <file>",
        "Go page traces: the log that tells the collector's cycles (default: X.events.ndjson, .gz or .zst beside X.pt)",
      ),
    )
    .addOption(new Option("--no-gc-log", "Go page traces: read no such log"));
}

/** Adds the options of reading any format. */
function addReading(command: Command): Command {
  return command
    .addOption(new Option("--format <format>", "format of the trace (default: told by its first bytes)"))
    .addOption(
      new Option("--device <number>", "PyTorch: the device whose trace is read").argParser(parseCount),
    )
    .addOption(
      new Option("--limit <bytes>", "most bytes that a trace may unpack to (default: Infinity)").argParser(
        parseLimit,
      ),
    )
    .addOption(
      new Option(
        "--window <events>",
        "Go page traces: most events to hold until they are in order",
      ).argParser(parseCount),
    );
}

function addBench(program: Command): Command {
  return program
    .command("bench")
    .description(
      "Time the kernels on this machine: a BigInt port, pure TypeScript, WebAssembly and, with a cc, C.",
    )
    .addOption(
      new Option("--page [port]", "serve a page on 127.0.0.1 that times them in a browser, until Ctrl-C")
        .preset("0")
        .argParser(parsePort),
    )
    .addOption(new Option("--json", "print the results as JSON, or with --page the URL"))
    .addOption(new Option("--quick", "measure each cell just long enough to see that it works"));
}

function addTrace(name: string, others: readonly string[] = []): string[] {
  if (name === STDIN && others.includes(STDIN)) {
    throw new InvalidArgumentError("Standard input can be read only once.");
  }
  return [...others, name];
}

function parseLimit(text: string): number {
  const limit = text === "Infinity" || /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (limit === Infinity || Number.isSafeInteger(limit)) return limit;
  throw new InvalidArgumentError("It must be a whole number of bytes, or Infinity.");
}

/** Reads a number of bytes, such as 8192, 64K or 2M. */
function parseBytes(text: string): number {
  const [, digits, unit = ""] = /^(\d+)([KMG])?$/.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** " KMG".indexOf(unit || " ");
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError("It must be a whole number of bytes, such as 8192, 64K or 2M.");
}

function parseCount(text: string): number {
  if (/^\d+$/.test(text) && Number(text) < 2 ** 31) return Number(text);
  throw new InvalidArgumentError("It must be a whole number below 2^31.");
}

function parsePort(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= MOST_PORT) return Number(text);
  throw new InvalidArgumentError(`It must be a port, 0 to ${MOST_PORT}; 0 is any free one.`);
}
