// Which part of a sweep this process runs.

/** A part: number `index`, from 0, of `count`. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The whole. */
export const WHOLE: Shard = { index: 0, count: 1 };

/**
 * Returns the part that a text such as 2/8 names: the third of eight. Throws RangeError for anything else.
 */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (index !== undefined && shard.count > 0 && shard.index < shard.count && shard.count <= 2 ** 20)
    return shard;
  throw new RangeError(`options.shard must be i/n, such as 0/8 to 7/8, got ${JSON.stringify(text)}`);
}

/**
 * Returns the part that a cluster gives this process: that of a task of a Slurm array, or of a pod of an Indexed Job of
 * Kubernetes, whose number of pods JOB_COMPLETIONS must tell. Returns the whole if there is no cluster. Throws
 * RangeError for numbers that cannot be.
 */
export function shardOfCluster(env: Readonly<Record<string, string | undefined>>): Shard {
  const { SLURM_ARRAY_TASK_ID: task, JOB_COMPLETION_INDEX: pod } = env;
  if (task !== undefined) {
    const first = env.SLURM_ARRAY_TASK_MIN ?? "0";
    const step = env.SLURM_ARRAY_TASK_STEP ?? "1";
    const index = (Number(task) - Number(first)) / Number(step);
    return fromCluster(
      String(index),
      env.SLURM_ARRAY_TASK_COUNT,
      "SLURM_ARRAY_TASK_ID",
      "SLURM_ARRAY_TASK_COUNT",
    );
  }
  if (pod !== undefined)
    return fromCluster(pod, env.JOB_COMPLETIONS, "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS");
  return WHOLE;
}

function fromCluster(index: string, count: string | undefined, indexName: string, countName: string): Shard {
  try {
    return parseShard(`${index}/${count}`);
  } catch {
    throw new RangeError(
      `options.shard must be given: ${indexName} and ${countName} say part ${index} of ${count ?? "(not set)"}`,
    );
  }
}
