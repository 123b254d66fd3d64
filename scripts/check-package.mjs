// Checks what `npm pack` would publish. It must have all that users need and nothing else. publint must find no fault
// with it. are-the-types-wrong must find its types in every way of resolving modules.
//
//   node scripts/check-package.mjs
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { readPackage, root } from "./files.mjs";

const NEEDED = [
  /^(package\.json|README\.md|LICENSE|NOTICE)$/,
  /^dist\/(index|ts|shared|ts-shared|arena|trace|lab|errors|zstd)\.(js|js\.map|cjs)$/,
  /^dist\/(index|shared)\.workerd\.js$/,
  /^dist\/(cli|read-worker|sweep-worker)\.js$/,
  /^dist\/bench-page\.html$/,
  /^dist\/palloc(\.shared)?\.wasm(\.d\.c?ts)?$/,
  /^dist\/go-compile-runtime\.pt\.gz$/,
  /^dist\/(cli|zstd)-licences\.txt$/,
];
const ALLOWED = [
  ...NEEDED,
  /^dist\/(cli-\w+|bench-worker|bench-page(-\w+)?)\.js$/,
  /^dist\/bench\/(main\.c|(measure|replay|heap|kernels)\.h)$/,
  /^dist\/common-\w+\.js(\.map)?$/,
  /^dist\/[\w/-]+\.d\.c?ts$/,
];

const packed = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root });
const [{ files, size, unpackedSize }] = JSON.parse(packed);
const paths = files.map((file) => file.path);
for (const file of files) console.log(`${String(file.size).padStart(7)} ${file.path}`);
console.log(`${size} bytes packed, ${unpackedSize} unpacked`);

/** Returns the files of dist/ that a value of package.json names, at any depth. */
const namedIn = (value) =>
  typeof value === "string"
    ? [value].filter((text) => /^(\.\/)?dist\//.test(text)).map((text) => text.replace(/^\.\//, ""))
    : Object.values(value).flatMap(namedIn);
const { exports, main, module, types, typesVersions, bin } = readPackage();
const named = namedIn({ exports, main, module, types, typesVersions, bin });

const missing = [
  ...NEEDED.filter((pattern) => !paths.some((path) => pattern.test(path))),
  ...named.filter((path) => !paths.includes(path)),
];
const strays = paths.filter((path) => !ALLOWED.some((pattern) => pattern.test(path)));
if (missing.length) console.error(`Not in the package: ${missing.join(", ")}`);
if (strays.length) console.error(`In the package, and of no use to its users: ${strays.join(", ")}`);

/** Runs a command of the project's packages, and shows its output. Returns whether it found no fault. */
function passes(command, ...args) {
  const file = join(root, "node_modules/.bin", command);
  return spawnSync(file, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

const sound = [
  missing.length + strays.length === 0,
  passes("publint", "--strict"),
  passes("attw", "--pack", ".", "--no-emoji"),
];
if (sound.includes(false)) process.exitCode = 1;
