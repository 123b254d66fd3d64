// Builds dist/, all that the package consists of, out of src/, assembly/ and the bundled trace. What is up to date is
// left as it is.
//
//   node scripts/build.mjs
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, utimesSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { build } from "esbuild";
import { buildWasm } from "./build-wasm.mjs";
import { removeOthers, root, upToDate, writeWhole } from "./files.mjs";
import { licences } from "./licences.mjs";

const INPUTS = [
  "src",
  "bench",
  "scripts",
  "build/palloc.wasm.js",
  "build/palloc.pair.js",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
];
const BENCH = ["main.c", "heap.h", "kernels.h"];
const TRACE = "test/fixtures/traces/go-compile-runtime.pt.gz";
const STAMP = "dist/index.js";
/** The library's entries by their files in dist/, with what each is made of. */
const PLAIN_ENTRIES = { index: "index.ts", ts: "ts.ts", trace: "trace.ts", errors: "base/errors.ts" };
const SHARED_ENTRIES = { shared: "index.ts", "ts-shared": "ts.ts" };
/** Those that have declarations of their own, and those that the command may import. */
const DECLARED = ["index", "ts", "trace"];

const src = (path) => join(root, "src", path);
const dist = (path) => join(root, "dist", path);

const OPTIONS = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  target: "es2022",
  outdir: "dist",
  write: false,
  logLevel: "warning",
};

/**
 * Some entries of the library, with or without shared heaps. What they have in common exists once. With minifySyntax
 * constants stand where they are used, which later bundlers can't bring about.
 */
function bundleLibrary(entries, shared) {
  return build({
    ...OPTIONS,
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, src(file)])),
    platform: "neutral",
    minifySyntax: true,
    splitting: true,
    chunkNames: "common-[hash]",
    define: { PALLOC_DEBUG: "false", PALLOC_SHARED: String(shared) },
    plugins: [oneErrorClass],
  });
}

/** Makes base/errors.ts a file of its own, so that all entries throw the same PageAllocError. */
const oneErrorClass = {
  name: "one-error-class",
  setup({ onResolve }) {
    onResolve({ filter: /\/base\/errors\.ts$|^\.\/errors\.ts$/ }, ({ kind }) =>
      kind === "entry-point" ? undefined : { path: "./errors.js", external: true, sideEffects: false },
    );
  },
};

/**
 * The command, with what it needs from npm bundled in. The library's entries stay imports of the files beside it: the
 * command then runs the very code that users import, with the same PageAllocError, and the package holds it once.
 */
function bundleCommand() {
  return build({
    ...OPTIONS,
    entryPoints: { cli: src("cli/main.ts"), "bench-worker": src("cli/bench-worker.ts") },
    splitting: true,
    chunkNames: "cli-[hash]",
    platform: "node",
    metafile: true,
    banner: {
      js: [
        "#!/usr/bin/env node",
        'import { createRequire as makeRequire } from "node:module";',
        "const require = makeRequire(import.meta.url);",
      ].join("\n"),
    },
    plugins: [publicEntriesOnly],
  });
}

/** Makes the command's imports of the library external, and refuses those that go round its public entries. */
const publicEntriesOnly = {
  name: "public-entries-only",
  setup({ onResolve }) {
    const command = src("cli");
    onResolve({ filter: /^(\.|palloc)/ }, ({ path, importer }) => {
      if (!importer.startsWith(command)) return undefined;
      const file = path.startsWith(".") ? resolve(dirname(importer), path) : undefined;
      if (file?.startsWith(command) || file?.startsWith(join(root, "bench"))) return undefined;
      const name = file
        ? relative(src(""), file).replace(/\.ts$/, "")
        : path.replace(/^palloc\/?/, "") || "index";
      if (DECLARED.includes(name)) return { path: `./${name}.js`, external: true };
      return { errors: [{ text: `The command may import the library's entries only, not ${path}` }] };
    });
  },
};

/**
 * Compiles declarations, and gives those that the entries reach: path under dist → text. The compiler leaves imports
 * in declarations with their .ts endings, which package users' compilers refuse.
 */
function declarations() {
  const types = join(root, "build/types");
  rmSync(types, { recursive: true, force: true });
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error("The declarations were not built.");
  const reached = new Map();
  const visit = (name) => {
    if (reached.has(name)) return;
    const text = readFileSync(join(types, name), "utf8").replace(
      /((?:from|import\()\s*"\.[^"]*)\.ts"/g,
      '$1.js"',
    );
    reached.set(name, text);
    for (const [, path] of text.matchAll(/(?:from|import\()\s*"(\.[^"]*)\.js"/g)) {
      visit(join(dirname(name), `${path}.d.ts`));
    }
  };
  for (const entry of DECLARED) visit(`${entry}.d.ts`);
  return reached;
}

/** Writes the files of the package, and removes from dist/ what is not among them. */
async function buildDist() {
  const started = new Date();
  const [plain, shared, command] = await Promise.all([
    bundleLibrary(PLAIN_ENTRIES, false),
    bundleLibrary(SHARED_ENTRIES, true),
    bundleCommand(),
  ]);
  const files = new Map();
  for (const { path, contents } of [...plain.outputFiles, ...shared.outputFiles]) files.set(path, contents);
  for (const [name, text] of declarations()) files.set(dist(name), text);
  for (const name of ["palloc.wasm", "palloc.shared.wasm"]) {
    files.set(dist(name), readFileSync(join(root, "build", name)));
  }
  files.set(dist("go-compile-runtime.pt.gz"), readFileSync(join(root, TRACE)));
  for (const file of BENCH) files.set(dist(`bench/${file}`), readFileSync(join(root, "bench/native", file)));
  files.set(dist("cli-licences.txt"), licences(command.metafile));
  for (const [path, content] of files) writeWhole(path, content);
  for (const { path, contents } of command.outputFiles) {
    files.set(path, contents);
    writeWhole(path, contents, 0o755);
  }
  removeOthers(dist(""), files);
  // An input that was saved meanwhile is newer than this, and will be built next time.
  utimesSync(join(root, STAMP), started, started);
}

try {
  await buildWasm();
  if (!upToDate(STAMP, [...INPUTS, TRACE])) await buildDist();
} catch (error) {
  console.error(error.errors ? "Not bundled." : error.message);
  process.exitCode = 1;
}
