// A Slurm of one node on this machine, with Debian's packages slurm-wlm and munge, for as long as it is needed.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const KEY = "/etc/munge/munge.key";
const SOCKETS = "/run/munge";
const KEY_BYTES = 1024;
/** Ms to wait for the node, and from look to look. */
const PATIENCE = 60_000;
const PERIOD = 250;

/** Runs a program, and returns what it prints. Throws if it fails. */
export function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8", ...options });
  if (status === 0) return stdout;
  throw new Error(`${[program, ...args].join(" ")}: ${error?.message ?? stderr}`);
}

/** Waits until `look` returns something. Rejects when that takes too long. */
export async function until(what, look, patience = PATIENCE) {
  for (const end = Date.now() + patience; ; await sleep(PERIOD)) {
    const found = look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} takes more than ${patience / 1000} s`);
  }
}

/** Starts Slurm, with all its files in a folder. Returns its environment, and what ends it. Needs root. */
export async function startSlurm(folder) {
  const node = hostname().split(".")[0];
  const conf = join(folder, "slurm.conf");
  for (const name of ["state", "spool"]) mkdirSync(join(folder, name));
  writeFileSync(
    conf,
    `ClusterName=test
SlurmctldHost=${node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
NodeName=${node} CPUs=2 State=UNKNOWN
PartitionName=main Nodes=${node} Default=YES MaxTime=INFINITE State=UP
`,
  );
  const env = { ...process.env, SLURM_CONF: conf };
  const ended = [startMunge()];
  const close = () => {
    for (const end of ended.reverse()) end();
  };
  try {
    for (const name of ["slurmctld", "slurmd"]) {
      run(name, [], { env });
      ended.push(() => killBy(join(folder, `${name}.pid`)));
    }
    await until("the node of Slurm", () => run("sinfo", ["-h", "-o", "%T"], { env }).trim() === "idle");
    return { env, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Starts the daemon by which the parts of Slurm know each other, unless it runs. Returns what ends it. */
function startMunge() {
  if (spawnSync("munge", ["-n"]).status === 0) return () => {};
  const { uid, gid } = statSync("/etc/munge");
  if (!existsSync(KEY)) writeFileSync(KEY, randomBytes(KEY_BYTES));
  mkdirSync(SOCKETS, { recursive: true });
  for (const path of [KEY, SOCKETS]) chownSync(path, uid, gid);
  chmodSync(KEY, 0o400);
  run("runuser", ["-u", "munge", "--", "munged", "--force"]);
  return () => killBy(join(SOCKETS, "munged.pid"));
}

/** Ends the process whose number a file has. */
function killBy(file) {
  try {
    process.kill(Number(readFileSync(file, "utf8")));
  } catch {
    // It has ended.
  }
}
