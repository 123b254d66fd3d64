// Checks the engines where each has a text of its own: a file of assembly/ and the file of the same name in
// src/engine/ts/ export the same functions, with the same parameters.
//
//   node scripts/check-twins.mjs
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./files.mjs";

const ENGINE = "assembly";
const TWIN = "src/engine/ts";
/** The files that only one engine has: what it exports, what the compiler has built in, and batches. */
const ONLY = { [ENGINE]: ["index.ts", "build.d.ts", "run.ts"], [TWIN]: ["engine.ts", "builtins.ts"] };
/** Functions that only one engine has. */
const ALONE = new Set([
  // What AssemblyScript has built in, and the twin has to write out.
  "ctz",
  "popcnt",
  // What WebAssembly inlines without saying so.
  "wordOf",
]);

const FUNCTION = /^(?<inline>@inline\n)?export function (?<name>\w+)\((?<parameters>[^)]*)\)/gm;

/** Returns the exported functions of a file: by name, the names of the parameters, and whether it is inlined. */
function functionsOf(path) {
  const found = new Map();
  for (const { groups } of readFileSync(join(root, path), "utf8").matchAll(FUNCTION)) {
    const { name, inline, parameters } = groups;
    const names = parameters
      .replace(/\{[^}]*\}: Memory/, "memory: Memory")
      .split(",")
      .map((parameter) => parameter.trim().split(":")[0])
      .filter(Boolean)
      .join()
      // The twin takes a 64-bit word in two halves.
      .replace(/(\w+)Lower,\1Upper/g, "$1");
    found.set(name, { isInline: Boolean(inline), parameters: names });
  }
  return found;
}

/** Returns what differs between a file and its twin, a line each. */
function differences(file) {
  const engine = functionsOf(join(ENGINE, file));
  const twin = functionsOf(join(TWIN, file));
  const faults = [];
  for (const [name, { isInline, parameters }] of engine) {
    const other = twin.get(name);
    // WebAssembly has inlined variants of functions. The compiler of JavaScript inlines by itself.
    if (!other && !isInline && !ALONE.has(name)) faults.push(`${TWIN}/${file} has no ${name}`);
    if (!other) continue;
    const inTwin = other.parameters.replace(/^memory,?/, "");
    if (inTwin !== parameters) faults.push(`${file}: ${name} takes (${parameters}), in the twin (${inTwin})`);
  }
  for (const name of twin.keys()) {
    if (!engine.has(name) && !ALONE.has(name)) faults.push(`${ENGINE}/${file} has no ${name}`);
  }
  return faults;
}

const filesOf = (folder) =>
  readdirSync(join(root, folder)).filter((file) => file.endsWith(".ts") && !ONLY[folder].includes(file));
const [engine, twin] = [ENGINE, TWIN].map(filesOf);
const alone = [
  ...engine.filter((file) => !twin.includes(file)).map((file) => `${TWIN} has no ${file}`),
  ...twin.filter((file) => !engine.includes(file)).map((file) => `${ENGINE} has no ${file}`),
];
const faults = [...alone, ...engine.filter((file) => twin.includes(file)).flatMap(differences)];
for (const fault of faults) console.error(fault);
if (faults.length) process.exitCode = 1;
else console.log(`✔ the engines agree on the functions of ${engine.length} files`);
