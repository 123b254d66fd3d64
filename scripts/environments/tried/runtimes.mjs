// Other runtimes for servers, which npm has as packages.
import { checkOutput, program } from "../try-out.mjs";

async function tryFiles(project, ...command) {
  await project.write({ "main.mjs": program(), "main.cjs": program({ commonJs: true }) });
  await project.check("`import`", async () => checkOutput(await project.run(...command, "main.mjs")));
  await project.check("`require`", async () => checkOutput(await project.run(...command, "main.cjs")));
}

export default [
  {
    name: "Deno",
    versions: "2.9",
    async run(project) {
      await project.install("deno@2.9.6");
      await tryFiles(project, "deno", "run", "--no-remote");
    },
  },
  {
    name: "Bun",
    versions: "1.4",
    async run(project) {
      await project.install("bun@1.4.5");
      await tryFiles(project, "bun", "run");
      await project.check("`palloc bench`", async () => {
        const output = await project.run("bun", "node_modules/palloc/dist/cli.js", "bench", "--quick");
        if (!/All columns computed the same/.test(output)) throw new Error(output);
      });
    },
  },
];
