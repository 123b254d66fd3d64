// How near the lab's log-driven mode comes to what Go did, and how long simulations take beside a replay.
//
//   npm run bench:lab             tables in Markdown
//   npm run bench:lab -- --quick  fewer rounds
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PageAlloc } from "../dist/index.js";
import { go, jemalloc, none, readScavengeLog, recorded, simulate } from "../dist/lab.js";
import { readPageTrace, replay } from "../dist/trace.js";

const TRACES = new URL("../test/fixtures/traces/", import.meta.url);
const MIB = 2 ** 20;
const ROUNDS = 21;
/** The traces that have a log beside them, and the limit that the program had. */
const LOGGED = [{ name: "phases" }, { name: "types-gogc50-limit60", memoryLimit: 60 * MIB }];
const TIMED = ["gofmt-std", "go-compile-runtime"];
/** Points in time at which two simulations are compared. */
const SAMPLES = 2 ** 12;

const { quick } = parseArgs({ options: { quick: { type: "boolean" } } }).values;

const bytesOf = (name) => new Uint8Array(readFileSync(new URL(name, TRACES)));
const mib = (bytes) => (bytes / MIB).toFixed(1);
const percent = (now, then) => `${now < then ? "" : "+"}${((now / then - 1) * 100).toFixed(1)} %`;

function printTable(head, rows) {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  console.log(`${lines.join("\n")}\n`);
}

/** Returns the mean over time of how far one curve is from another. */
function meanDistance(a, b) {
  let sum = 0;
  for (let i = 1; i < a.time.length; i++) {
    sum += Math.abs(a.retained[i - 1] - b.retained[i - 1]) * (a.time[i] - a.time[i - 1]);
  }
  return sum / (a.time.at(-1) - a.time[0]);
}

async function printDistances() {
  const rows = [];
  for (const { name, memoryLimit } of LOGGED) {
    const trace = await readPageTrace(bytesOf(`logged/${name}.pt.gz`));
    const log = await readScavengeLog(bytesOf(`logged/${name}.events.ndjson.gz`));
    const run = (options) => simulate(PageAlloc, trace, { memoryLimit, samples: SAMPLES, ...options });
    const real = run({ policy: recorded() });
    const simulations = [
      ["as recorded", real],
      ["log-driven, Go 1.22", run({ policy: go(), log })],
      ["nothing released", run({ policy: none() })],
    ];
    for (const [what, report] of simulations) {
      rows.push([
        name,
        what,
        `${mib(report.retainedMeanBytes)} MiB (${percent(report.retainedMeanBytes, real.retainedMeanBytes)})`,
        `${mib(meanDistance(report.series, real.series))} MiB`,
        `${mib(report.releasedBytes)} MiB (${percent(report.releasedBytes, real.releasedBytes)})`,
        `${mib(report.refaultedBytes)} MiB`,
      ]);
    }
  }
  printTable(
    ["trace", "scavenger", "retained, mean", "mean distance over time", "released", "touched again"],
    rows,
  );
}

/** Returns the median time of each job in ms. They take turns, after two rounds to warm up. */
function medians(jobs) {
  const times = jobs.map(() => []);
  const rounds = quick ? 3 : ROUNDS;
  for (let round = -2; round < rounds; round++) {
    jobs.forEach((job, i) => {
      const start = performance.now();
      job();
      if (round >= 0) times[i].push(performance.now() - start);
    });
  }
  return times.map((list) => list.sort((a, b) => a - b)[rounds >> 1]);
}

async function printTimes() {
  const rows = [];
  for (const name of TIMED) {
    const trace = await readPageTrace(bytesOf(`${name}.pt.gz`));
    const policies = [none(), go(), jemalloc(), recorded()];
    const [first, ...rest] = medians([
      () => replay(PageAlloc, trace, { scavenge: "none" }),
      ...policies.map((policy) => () => simulate(PageAlloc, trace, { policy })),
    ]);
    const perEvent = (ms) => `${((ms * 1e6) / trace.length).toFixed(0)} ns`;
    rows.push([name, "replay", perEvent(first), "1"]);
    policies.forEach((policy, i) => {
      rows.push([name, `simulate, ${policy.name}`, perEvent(rest[i]), (first / rest[i]).toFixed(2)]);
    });
  }
  printTable(["trace", "job", "an event", "speed of replay"], rows);
}

await printDistances();
await printTimes();
