// Test runners, with their defaults.
import { expected, program } from "../try-out.mjs";

const test = `test("palloc", async () => expect(await tryAll()).toBe(${JSON.stringify(expected())}));`;

export default [
  {
    name: "Jest",
    versions: "30.5",
    async run(project) {
      await project.install("jest@30.5.2");
      await project.write({
        "palloc.test.cjs": program({ commonJs: true, tail: test }),
        "palloc.test.mjs": program({ tail: test }),
      });
      await project.check("`require`", () => project.run("jest", "--testMatch", "**/*.cjs"));
      const jest = ["--experimental-vm-modules", "node_modules/jest/bin/jest.js"];
      await project.check("`import`, with `--experimental-vm-modules`", () =>
        project.run("node", ...jest, "--testMatch", "**/*.mjs"),
      );
    },
  },
  {
    name: "Vitest",
    versions: "4.1",
    async run(project) {
      await project.install("vitest@4.1.12");
      const imports = 'import { expect, test } from "vitest";\n';
      await project.write({ "palloc.test.js": imports + program({ tail: test }) });
      await project.check("`import`", () => project.run("vitest", "run"));
    },
  },
];
