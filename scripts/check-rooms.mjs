// Checks which room imports which, by the rules of .dependency-cruiser.cjs. dependency-cruiser finds no fault in files
// that it does not see. So this also checks that it has seen every source, and each import in its text.
//
//   node scripts/check-rooms.mjs
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cruise, format } from "dependency-cruiser";
import rules from "../.dependency-cruiser.cjs";
import { root } from "./files.mjs";

const FOLDERS = ["src", "assembly"];
/** The paths of the rooms, of the entries and of assembly/. */
const IN_A_ROOM = /^src\/(cli|trace|arena|lab|api|heap|store|engine|base)\/|^src\/[\w-]+\.ts$|^assembly\//;
const IMPORT = /^(?:import|export) (?:(?:type )?(?:\{[^}]*\}|\* as \w+|\*|\w+) from )?"([^"]+)";$/gm;

/** The paths of all sources, from the top folder. */
const sources = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".ts")),
);

/** Returns a line for each source or import that was not seen. */
function unseen(modules) {
  const seen = new Map(modules.map(({ source, dependencies }) => [source, dependencies]));
  return sources.flatMap((path) => {
    const dependencies = seen.get(path);
    if (!dependencies) return `${path} was not seen`;
    const known = new Set(dependencies.map(({ module }) => module));
    const imports = [...readFileSync(join(root, path), "utf8").matchAll(IMPORT)].map(([, from]) => from);
    const missed = imports.filter((from) => !known.has(from) && !known.has(from.replace(/^node:/, "")));
    return missed.map((from) => `${path}: its import of ${from} was not seen`);
  });
}

process.chdir(root);
const entry = (name) => join(root, `src/${name}.ts`);
const { output } = await cruise(
  FOLDERS,
  { ...rules.options, ruleSet: rules, validate: true },
  // The command imports the library as users do, by its name.
  {
    alias: {
      palloc$: entry("index"),
      "palloc/ts": entry("ts"),
      "palloc/arena": entry("arena"),
      "palloc/lab": entry("lab"),
      "palloc/trace": entry("trace"),
    },
  },
);
const lost = unseen(output.modules);
const faults = [
  ...lost,
  ...sources.filter((path) => !IN_A_ROOM.test(path)).map((path) => `${path} is in no room`),
];
if (sources.length === 0) faults.push("There are no sources.");
if (lost.length)
  faults.push("dependency-cruiser has not seen all that there is: is its parser, @swc/core, installed?");
for (const fault of faults) console.error(fault);

const report = await format(output, { outputType: "err" });
console.log(report.output.trim());
if (faults.length || output.summary.error) process.exitCode = 1;
