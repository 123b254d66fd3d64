// The files of examples/cluster/: the manifest against Kubernetes' own schema, and what both say of parts.
import { readFile } from "node:fs/promises";
import { Job } from "kubernetes-models/batch/v1";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { shardOfCluster } from "../src/cli/sweep/shard.ts";

const read = (name: string) => readFile(new URL(`../examples/cluster/${name}`, import.meta.url), "utf8");

describe("the manifest of an Indexed Job", () => {
  it("is valid", async () => {
    const manifest = parse(await read("job.yaml"));
    expect(() => new Job(manifest).validate()).not.toThrow();
    const wrong = structuredClone(manifest);
    wrong.spec.completions = "eight";
    expect(() => new Job(wrong).validate()).toThrow();
  });

  it("tells each pod its part", async () => {
    const { spec } = parse(await read("job.yaml"));
    expect(spec.completionMode).toBe("Indexed");
    const [container] = spec.template.spec.containers;
    const env = Object.fromEntries(
      container.env.map(({ name, value }: Record<string, string>) => [name, value]),
    );
    for (let index = 0; index < spec.completions; index++) {
      const shard = shardOfCluster({ ...env, JOB_COMPLETION_INDEX: String(index) });
      expect(shard).toEqual({ index, count: spec.completions });
    }
  });
});

describe("the scripts of clusters", () => {
  it("give each part a file of its own, with which it goes on", async () => {
    expect(await read("sweep.sbatch")).toContain('--resume "part-$SLURM_ARRAY_TASK_ID.ndjson"');
    expect(await read("job.yaml")).toContain('--resume "part-$JOB_COMPLETION_INDEX.ndjson"');
  });
});
