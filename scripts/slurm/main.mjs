// Runs a sweep on a real Slurm: an array of 8, one task of which is killed and requeued. The parts, merged, must be
// what one process gives. Needs root, and Debian's packages slurm-wlm and munge. Where Slurm does not start, says why
// instead.
//
//   node scripts/slurm/main.mjs
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../files.mjs";
import { run, startSlurm, until } from "./cluster.mjs";

const CLI = join(root, "dist/cli.js");
const TASKS = 8;
/** The task that is killed, once it has so many results. */
const VICTIM = 3;
const RESULTS = 2;
/** Enough runs that the victim is not done by then. */
const SWEEP = [
  join(root, "test/fixtures/traces/gofmt-std.pt.gz"),
  "--policy",
  "goal:everyMs=2..81+1",
  "--phys-page-size",
  "4K,64K",
];
/** Ms for all tasks. */
const PATIENCE = 900_000;

const resultsOf = (file) => {
  try {
    return readFileSync(file, "utf8").split("\n").length - 1;
  } catch {
    return 0;
  }
};

/** Runs the sweep on Slurm. Throws if anything is not as it should be. */
async function trySweep(slurm, folder) {
  const env = { ...slurm.env, PALLOC: `${process.execPath} ${CLI}` };
  const slurmDo = (program, ...args) => run(program, args, { env, cwd: folder }).trim();
  const script = join(root, "examples/cluster/sweep.sbatch");
  const job = slurmDo("sbatch", "--parsable", `--array=0-${TASKS - 1}`, script, ...SWEEP);
  const parts = Array.from({ length: TASKS }, (_, i) => join(folder, `part-${i}.ndjson`));
  const task = `${job}_${VICTIM}`;
  await until(`task ${task} with ${RESULTS} results`, () => resultsOf(parts[VICTIM]) >= RESULTS, PATIENCE);
  slurmDo("scontrol", "requeue", task);
  const atKill = resultsOf(parts[VICTIM]);
  await until("the array", () => slurmDo("squeue", "-h", "-j", job) === "", PATIENCE);
  const restarts = /Restarts=(\d+)/.exec(slurmDo("scontrol", "show", "job", task))?.[1];
  const merged = run(process.execPath, [CLI, "merge", ...parts]);
  const alone = run(process.execPath, [CLI, "sweep", ...SWEEP, "--json"]);
  if (merged !== alone) throw new Error("the merged parts are not what one process gives");
  const count = merged.split("\n").length - 1;
  console.log(`Slurm ran ${count} runs in ${TASKS} tasks. Task ${VICTIM} was killed after ${atKill} results`);
  console.log(`and restarted ${restarts} time. Merged, they are what one process gives.`);
  if (Number(restarts) < 1) throw new Error("the task was not restarted");
}

const folder = mkdtempSync(join(tmpdir(), "palloc-slurm-"));
try {
  const slurm = await startSlurm(folder).catch((error) => {
    console.log(`Slurm was not tried: ${error.message}`);
  });
  try {
    if (slurm) await trySweep(slurm, folder);
  } finally {
    slurm?.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
