// The policies that can be named in a text, such as go:version=1.19,gogc=50, with what their options are.

import { refuse, show } from "../base/arguments.ts";
import { go } from "./go/policy.ts";
import { clairvoyant } from "./policies/clairvoyant.ts";
import { jemalloc } from "./policies/jemalloc.ts";
import { mimalloc } from "./policies/mimalloc.ts";
import { pytorch } from "./policies/pytorch.ts";
import { all, goal, none, recorded } from "./policies/simple.ts";
import { tcmalloc } from "./policies/tcmalloc.ts";
import type { Policy } from "./policy.ts";

/** An option of a policy. */
export interface PolicyOption {
  readonly type: "number" | "bytes" | "text" | "flag";
  /** What holds if it is left out, for people. */
  readonly default: string;
  /** What it is, for people. */
  readonly about: string;
}

/** A policy that can be named. */
export interface PolicyKind {
  readonly name: string;
  /** What it does, for people. */
  readonly about: string;
  readonly options: Readonly<Record<string, PolicyOption>>;
}

/** How policies are made. Each checks its own options. */
const MAKERS: Readonly<Record<string, (options: never) => Policy>> = {
  go,
  jemalloc,
  mimalloc,
  tcmalloc,
  pytorch,
  goal,
  all,
  none,
  recorded,
  clairvoyant,
};

const number = (byDefault: string, about: string): PolicyOption => ({
  type: "number",
  default: byDefault,
  about,
});
const bytes = (byDefault: string, about: string): PolicyOption => ({
  type: "bytes",
  default: byDefault,
  about,
});
const text = (byDefault: string, about: string): PolicyOption => ({
  type: "text",
  default: byDefault,
  about,
});
const flag = (about: string): PolicyOption => ({ type: "flag", default: "false", about });

/** The policies that `parsePolicy` knows. */
export const POLICIES: readonly PolicyKind[] = [
  {
    name: "go",
    about: "Go's scavenger",
    options: {
      version: text("1.22", "1.14, 1.15, 1.19, 1.21 or 1.22"),
      gogc: number("the trace's goals", "GOGC, 1 or more"),
      memoryLimit: bytes("the simulation's", "GOMEMLIMIT"),
      procs: number("1", "GOMAXPROCS"),
      overheadBytes: bytes("4M", "memory beside the heap that counts toward the limit"),
    },
  },
  {
    name: "jemalloc",
    about: "jemalloc's decay",
    options: {
      dirtyDecayMs: number("10000", "ms until all free pages of a time are released; 0: at once; -1: never"),
      backgroundThread: flag("look every 100 ms, not every 1,000 events"),
      seed: number("1", "of its random numbers"),
    },
  },
  {
    name: "mimalloc",
    about: "mimalloc's delayed purge",
    options: {
      version: text("3", "2 or 3"),
      purgeDelayMs: number("10 in version 2, 1000 in 3", "ms; 0: at each free; -1: never"),
    },
  },
  {
    name: "tcmalloc",
    about: "tcmalloc's background release, by huge pages",
    options: {
      bytesPerSecond: bytes("0", "the release rate"),
      subrelease: { type: "flag", default: "true", about: "break huge pages that are in use in part" },
    },
  },
  {
    name: "pytorch",
    about: "PyTorch's caching allocator; needs a memory limit",
    options: {
      gcThreshold: number("0", "garbage_collection_threshold, from 0 (off) to less than 1"),
      expandable: flag("expandable_segments"),
    },
  },
  {
    name: "goal",
    about: "retains so many times what is in use",
    options: {
      ratio: number("1.1", "retained bytes per byte in use, 1 or more"),
      everyMs: number("100", "ms from look to look"),
      order: text("highest", "which runs to release first: highest, lowest, oldest or largest"),
    },
  },
  { name: "all", about: "releases all that is free, at once", options: {} },
  { name: "none", about: "releases nothing", options: {} },
  { name: "recorded", about: "releases what the trace says", options: {} },
  {
    name: "clairvoyant",
    about: "knows the future, and releases what will not be touched again too soon",
    options: { idleMs: number("1000", "ms for which a released page is not touched, at least") },
  },
];

/** Powers of 2 for K, M, G and T. */
const UNITS: Readonly<Record<string, number>> = { "": 0, K: 10, M: 20, G: 30, T: 40 };

/**
 * Returns the policy that a text names: its name, then its options, as in `go:version=1.19,gogc=50`. Bytes may end in
 * K, M, G or T. Throws TypeError or RangeError that names what is allowed.
 */
export function parsePolicy(text: string): Policy {
  if (typeof text !== "string") refuse("policy", text, "a text such as go:version=1.22");
  const [, name = "", list = ""] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  const kind = POLICIES.find((known) => known.name === name);
  if (!kind) refuse("policy", name, `one of ${POLICIES.map((known) => known.name).join(", ")}`, "string");
  const options: Record<string, unknown> = {};
  for (const part of list === "" ? [] : list.split(",")) {
    const [, option, value] = /^([^=]*)=(.*)$/s.exec(part) ?? [];
    if (option === undefined || !Object.hasOwn(kind.options, option)) {
      const known = Object.keys(kind.options).map((key) => `${key}=`);
      const allowed = known.length > 0 ? known.join(", ") : "left out: it has none";
      throw new RangeError(`policy ${name}: options must be ${allowed}, got ${show(part)}`);
    }
    options[option] = readValue(`policy ${name}: ${option}`, kind.options[option], value);
  }
  try {
    return MAKERS[name](options as never);
  } catch (error) {
    throw error instanceof Error && error.message.startsWith("options.") ? renamed(error, name) : error;
  }
}

/** Returns an error about an option as one about that of a named policy. */
function renamed(error: Error, name: string): Error {
  const message = error.message.replace("options.", `policy ${name}: `);
  return error instanceof RangeError ? new RangeError(message) : new TypeError(message);
}

function readValue(name: string, { type }: PolicyOption, text: string): unknown {
  if (type === "text") return text;
  if (type === "flag") {
    if (text === "true" || text === "false") return text === "true";
    return refuse(name, text, "true or false", "string");
  }
  const [, digits, unit = ""] = /^(-?\d+(?:\.\d+)?)([KMGT]?)$/.exec(text) ?? [];
  if (digits === undefined || (type === "number" && unit !== "")) {
    refuse(
      name,
      text,
      type === "bytes" ? "a number of bytes, such as 8192, 64K or 2M" : "a number",
      "string",
    );
  }
  return Number(digits) * 2 ** UNITS[unit];
}
