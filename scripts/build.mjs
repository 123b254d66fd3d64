// Builds dist/, all that the package consists of, out of src/, assembly/ and the bundled trace. What is up to date is
// left as it is.
//
//   node scripts/build.mjs
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { build } from "esbuild";
import { buildWasm } from "./build-wasm.mjs";
import { readPackage, removeOthers, root, upToDate, writeWhole } from "./files.mjs";
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
/** Lists the files of the last build that came to its end, with their sizes. */
const STAMP = "build/dist.json";
/** The library's entries by their files in dist/, with what each is made of. */
const PLAIN_ENTRIES = { index: "index.ts", ts: "ts.ts", trace: "trace.ts", errors: "base/errors.ts" };
const SHARED_ENTRIES = { shared: "index.ts", "ts-shared": "ts.ts" };
/** Those that have declarations of their own, and those that the command may import. */
const DECLARED = ["index", "ts", "trace"];
/** The modules, compiled. */
const WASM = ["palloc.wasm", "palloc.shared.wasm"];
/** The entries on WebAssembly, as Cloudflare Workers need them, and the modules that each gets from there. */
const WORKERD_ENTRIES = {
  index: ["palloc.wasm"],
  shared: WASM,
};

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

/** ES modules: what entries have in common exists once. */
const MODULES = { format: "esm", ending: ".js", options: { splitting: true, sourcemap: "linked" } };
/**
 * CommonJS: each entry is whole. Calls from file to file would go through getters, which takes half as long again. It
 * has no source maps, as it reads like the sources. The platform makes esbuild list the exports as Node can find them.
 */
const COMMON_JS = {
  format: "cjs",
  ending: ".cjs",
  options: { platform: "node", outExtension: { ".js": ".cjs" } },
};

/**
 * Some entries of the library, with or without shared heaps. With minifySyntax constants stand where they are used,
 * which later bundlers can't bring about.
 */
function bundleLibrary(entries, shared, { format, ending, options }) {
  return build({
    ...OPTIONS,
    platform: "neutral",
    ...options,
    format,
    entryPoints: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, src(file)])),
    minifySyntax: true,
    chunkNames: "common-[hash]",
    define: { PALLOC_DEBUG: "false", PALLOC_SHARED: String(shared) },
    plugins: [oneErrorClass(ending)],
  });
}

/** Makes base/errors.ts a file of its own, so that all entries throw the same PageAllocError. */
const oneErrorClass = (ending) => ({
  name: "one-error-class",
  setup({ onResolve }) {
    onResolve({ filter: /\/base\/errors\.ts$|^\.\/errors\.ts$/ }, ({ kind }) =>
      kind === "entry-point" ? undefined : { path: `./errors${ending}`, external: true, sideEffects: false },
    );
  },
});

/**
 * An entry for workerd, which compiles no bytes at run time and gives an import of a .wasm file as a compiled module.
 * With modules given, init() is done before it returns.
 */
function workerdEntry(entry, modules) {
  const names = modules.map((_, i) => `module${i}`);
  return [
    ...modules.map((file, i) => `import ${names[i]} from "./${file}";`),
    `import { init } from "./${entry}.js";`,
    `export * from "./${entry}.js";`,
    `init(${names.join(", ")});`,
    "",
  ].join("\n");
}

/** A declaration file's text for the .d.cts of the same name. */
const forCommonJs = (text) => text.replace(/((?:from|import\()\s*"\.[^"]*)\.js"/g, '$1.cjs"');

/** What an import of a .wasm file is depends on who resolves it. The type fits those who give what init() takes. */
const WASM_TYPES = `import type { WasmModule } from "./base/platform.js";

/**
 * The engine, compiled, for init(). Cloudflare Workers import it so. With other tools the import may be a URL, whose
 * file WebAssembly.compileStreaming(fetch(url)) compiles.
 */
declare const module: WasmModule;
export default module;
`;

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

/** The scripts of the page of `palloc bench --page`, which use the library as the command does. */
function bundlePage() {
  return build({
    ...OPTIONS,
    entryPoints: {
      "bench-page": src("cli/bench-page.ts"),
      "bench-page-worker": src("cli/bench-page-worker.ts"),
    },
    splitting: true,
    chunkNames: "bench-page-[hash]",
    platform: "browser",
    metafile: true,
    define: { PALLOC_VERSION: JSON.stringify(readPackage().version) },
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
 * in declarations with their .ts endings, which package users' compilers refuse. Each is there for ES modules and for
 * CommonJS: compilers do not let a file of one kind require one of the other.
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
    reached.set(name.replace(/ts$/, "cts"), forCommonJs(text));
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
  const [command, page, ...bundles] = await Promise.all([
    bundleCommand(),
    bundlePage(),
    bundleLibrary(PLAIN_ENTRIES, false, MODULES),
    bundleLibrary(SHARED_ENTRIES, true, MODULES),
    bundleLibrary(PLAIN_ENTRIES, false, COMMON_JS),
    bundleLibrary(SHARED_ENTRIES, true, COMMON_JS),
  ]);
  const files = new Map();
  for (const { path, contents } of [page, ...bundles].flatMap(({ outputFiles }) => outputFiles))
    files.set(path, contents);
  for (const [entry, modules] of Object.entries(WORKERD_ENTRIES)) {
    files.set(dist(`${entry}.workerd.js`), workerdEntry(entry, modules));
  }
  for (const [name, text] of declarations()) files.set(dist(name), text);
  for (const name of WASM) {
    files.set(dist(name), readFileSync(join(root, "build", name)));
    files.set(dist(`${name}.d.ts`), WASM_TYPES);
    files.set(dist(`${name}.d.cts`), forCommonJs(WASM_TYPES));
  }
  files.set(dist("go-compile-runtime.pt.gz"), readFileSync(join(root, TRACE)));
  for (const file of BENCH) files.set(dist(`bench/${file}`), readFileSync(join(root, "bench/native", file)));
  files.set(dist("bench-page.html"), readFileSync(src("cli/bench-page.html")));
  files.set(dist("cli-licences.txt"), licences(command.metafile, page.metafile));
  const programs = new Map(command.outputFiles.map(({ path, contents }) => [path, contents]));
  rmSync(join(root, STAMP), { force: true });
  for (const [path, content] of files) writeWhole(path, content);
  for (const [path, content] of programs) writeWhole(path, content, 0o755);
  const all = new Map([...files, ...programs]);
  removeOthers(dist(""), all);
  const sizes = [...all].map(([path, content]) => [relative(root, path), Buffer.byteLength(content)]);
  writeWhole(join(root, STAMP), JSON.stringify(Object.fromEntries(sizes), null, 1));
  // An input that was saved meanwhile is newer than this, and will be built next time.
  utimesSync(join(root, STAMP), started, started);
}

/** Whether dist/ is what the last build made of these inputs. */
function isBuilt() {
  if (!upToDate(STAMP, [...INPUTS, TRACE])) return false;
  const sizes = JSON.parse(readFileSync(join(root, STAMP), "utf8"));
  const sizeOf = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.size;
  return Object.entries(sizes).every(([path, size]) => sizeOf(path) === size);
}

try {
  await buildWasm();
  if (!isBuilt()) await buildDist();
} catch (error) {
  console.error(error.errors ? "Not bundled." : error.message);
  process.exitCode = 1;
}
