// Tries the packed package wherever people use it. For each environment it installs the package in a folder of its own,
// runs a small program there, and compares the output. Fails if an environment fails, or if docs/environments.md is out
// of date.
//
//   node scripts/environments/main.mjs [--only NAME] [--write]
//
//   --only NAME   tries only environments whose name and version contain NAME; leaves the document alone
//   --write       writes docs/environments.md
//
// To add an environment, add a file to tried/ that exports a list of them, and put it into list.mjs. Each has
//
//   name      for the table
//   versions  for the table
//   note      for the table: what does not work, and what to do about it (optional)
//   run       tries it in a Project: installs it, then checks what must work, each under a name for the table
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root, writeWhole } from "../files.mjs";
import { closeBrowsers, NotHere } from "./browsers.mjs";
import { environments } from "./list.mjs";
import { Project } from "./project.mjs";
import { documentOf } from "./table.mjs";

/** Environments at a time: one more than the usual two cores, because they also wait for the network and browsers. */
const AT_A_TIME = 3;
const DOCUMENT = join(root, "docs/environments.md");

const { values: options } = parseArgs({
  options: { only: { type: "string" }, write: { type: "boolean", default: false } },
});
const titleOf = ({ name, versions }) => `${name} ${versions}`;
const chosen = environments.filter(
  (environment) => !options.only || titleOf(environment).includes(options.only),
);
if (chosen.length === 0) throw new Error(`No environment has ${options.only} in its name.`);

const folder = mkdtempSync(join(tmpdir(), "palloc-environments-"));
const works = new Map();
let failed = 0;

/** Tries one environment, and prints the outcome. */
async function tryEnvironment(environment, i, tarball) {
  const title = titleOf(environment);
  const started = Date.now();
  const seconds = () => `${((Date.now() - started) / 1000).toFixed(0)} s`;
  const project = new Project(join(folder, String(i)), tarball);
  mkdirSync(project.folder);
  try {
    await environment.run(project);
    works.set(environment, project.works);
    console.log(`ok       ${title} (${seconds()}): ${project.works.join("; ")}`);
  } catch (error) {
    if (error instanceof NotHere) {
      console.log(`not here ${title}: ${error.message}`);
      return;
    }
    failed++;
    console.log(`FAILED   ${title} (${seconds()})\n${error.stack}`);
  } finally {
    rmSync(project.folder, { recursive: true, force: true });
  }
}

try {
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root });
  const tarball = join(folder, JSON.parse(packed)[0].filename);
  const waiting = chosen.entries();
  const takeTurns = async () => {
    for (const [i, environment] of waiting) await tryEnvironment(environment, i, tarball);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, takeTurns));
} finally {
  await closeBrowsers();
  rmSync(folder, { recursive: true, force: true });
}

if (failed) {
  console.error(`${failed} of ${chosen.length} environments failed.`);
  process.exitCode = 1;
} else if (works.size < environments.length) {
  console.log(
    `Tried ${works.size} of ${environments.length} environments; docs/environments.md is left as it is.`,
  );
} else if (options.write) {
  writeWhole(DOCUMENT, documentOf(environments, works));
} else if (readFileSync(DOCUMENT, "utf8") !== documentOf(environments, works)) {
  console.error("docs/environments.md is not up to date: run 'npm run check:environments -- --write'.");
  process.exitCode = 1;
}
