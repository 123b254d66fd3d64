// Releases of Node, which npm has as packages.
import { join } from "node:path";
import { checkOutput, program } from "../try-out.mjs";

const BINARY = `node-${process.platform}-${process.arch}`;

const node = (release, versions = release) => ({
  name: "Node",
  versions,
  async run(project) {
    await project.install(`${BINARY}@${release}`);
    await project.write({ "main.mjs": program(), "main.cjs": program({ commonJs: true }) });
    const binary = join(project.folder, "node_modules", BINARY, "bin/node");
    await project.check("`import`", async () => checkOutput(await project.run(binary, "main.mjs")));
    await project.check("`require`", async () => checkOutput(await project.run(binary, "main.cjs")));
  },
});

export default [node("20.0.0", "20.0"), node("20"), node("22"), node("24")];
