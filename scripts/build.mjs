// Builds dist/, all files of the package, from src/, assembly/ and the bundled trace. Does nothing if dist/ is up to
// date.
//
//   node scripts/build.mjs
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
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
const BENCH = ["main.c", "measure.h", "replay.h", "heap.h", "kernels.h"];
const TRACE = "test/fixtures/traces/go-compile-runtime.pt.gz";
/** Lists the files of the last complete build, with their sizes. */
const STAMP = "build/dist.json";
/** The library's entries: their files in dist/, and the source that each is built from. */
const PLAIN_ENTRIES = {
  index: "index.ts",
  ts: "ts.ts",
  arena: "arena.ts",
  trace: "trace.ts",
  lab: "lab.ts",
  errors: "base/errors.ts",
};
const SHARED_ENTRIES = { shared: "index.ts", "ts-shared": "ts.ts" };
/** The entries that have declarations of their own. They are also those that the command may import. */
const DECLARED = ["index", "ts", "arena", "trace", "lab"];
/** The compiled modules. */
const WASM = ["palloc.wasm", "palloc.shared.wasm"];
/** The entries that exist for Cloudflare Workers too, and the compiled modules that each imports there. */
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

/** ES modules: code that entries share exists once. */
const MODULES = { format: "esm", ending: ".js", options: { splitting: true, sourcemap: "linked" } };
/**
 * CommonJS: each entry is one file. Calls from file to file would go through getters, and take half as long again.
 * There are no source maps, since the code reads like the sources. With this platform, esbuild lists the exports in a
 * way that Node can find. An import() becomes a require, since not all that runs CommonJS knows the former.
 */
const COMMON_JS = {
  format: "cjs",
  ending: ".cjs",
  options: { platform: "node", outExtension: { ".js": ".cjs" }, supported: { "dynamic-import": false } },
};

/**
 * Bundles some entries of the library, with or without shared heaps. minifySyntax puts constants where they are used.
 * The bundlers of users cannot do that.
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
    plugins: [filesOfTheirOwn(ending)],
  });
}

/**
 * Bundles the zstd decoder. zstddec decodes its module by fetching a data: URL, which many pages forbid, or else by
 * Node's Buffer, for which some bundlers add a polyfill. So it does it the second way, with base64.mjs for Buffer.
 */
function bundleZstd({ format, options }) {
  return build({
    ...OPTIONS,
    platform: "neutral",
    ...options,
    format,
    entryPoints: { zstd: src("trace/source/zstd.ts") },
    metafile: true,
    define: { fetch: "undefined" },
    inject: [join(root, "scripts/base64.mjs")],
    minifySyntax: true,
  });
}

/**
 * Makes some modules files of their own: base/errors.ts, so that all entries throw the same PageAllocError, and the
 * zstd decoder, so that it is loaded only if it is needed.
 */
const filesOfTheirOwn = (ending) => ({
  name: "files-of-their-own",
  setup({ onResolve }) {
    onResolve({ filter: /\/base\/errors\.ts$|^\.\/(errors|zstd)\.ts$/ }, ({ kind, path }) => {
      if (kind === "entry-point") return undefined;
      return { path: `./${basename(path, ".ts")}${ending}`, external: true, sideEffects: false };
    });
  },
});

/**
 * Returns an entry for workerd, which does not compile bytes at run time, but compiles an imported .wasm file. init()
 * with modules is done when it returns, so the entry need not wait for it.
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

/** Returns the text of a .d.cts, from that of the .d.ts. */
const forCommonJs = (text) => text.replace(/((?:from|import\()\s*"\.[^"]*)\.js"/g, '$1.cjs"');

/** An import of a .wasm file gives different things in different tools. The type is for tools that give a module. */
const WASM_TYPES = `import type { WasmModule } from "./base/platform.js";

/**
 * The engine, compiled, for init(). Cloudflare Workers import it so. With other tools the import may be a URL, whose
 * file WebAssembly.compileStreaming(fetch(url)) compiles.
 */
declare const module: WasmModule;
export default module;
`;

/**
 * Bundles the command with the npm packages that it uses. The library's entries stay imports of the files beside it. So
 * the command runs the code that users import, with the same PageAllocError, and the package has that code once.
 */
function bundleCommand() {
  return build({
    ...OPTIONS,
    entryPoints: {
      cli: src("cli/main.ts"),
      "read-worker": src("cli/read-worker.ts"),
      "sweep-worker": src("cli/sweep/worker.ts"),
      "bench-worker": src("cli/bench-worker.ts"),
    },
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

/** Bundles the scripts of the page of `palloc bench --page`. They import the library's entries as the command does. */
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

/** Makes the command's imports of the library external. Refuses imports of anything but its entries. */
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
 * Compiles declarations. Returns those that the entries reach, as a map from the path in dist/ to the text. The
 * compiler leaves the .ts endings of imports, which the compilers of users refuse, so they become .js. Each declaration
 * exists for ES modules and for CommonJS, because compilers do not let a file of one kind require one of the other.
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

/**
 * Returns the text of an entry without imports that take no name. esbuild adds them for files that the entry uses by
 * way of others alone. Bundlers warn of them, since the package says that its files have no side effects.
 */
function withoutBareImports(text) {
  // The line stays, for the source map.
  return text.replace(/^import "\.\/common-\w+\.js";$/gm, "");
}

/** Writes the files of the package, and removes all others from dist/. */
async function buildDist() {
  const started = new Date();
  const [command, page, zstd, ...bundles] = await Promise.all([
    bundleCommand(),
    bundlePage(),
    bundleZstd(MODULES),
    bundleZstd(COMMON_JS),
    bundleLibrary(PLAIN_ENTRIES, false, MODULES),
    bundleLibrary(SHARED_ENTRIES, true, MODULES),
    bundleLibrary(PLAIN_ENTRIES, false, COMMON_JS),
    bundleLibrary(SHARED_ENTRIES, true, COMMON_JS),
  ]);
  const files = new Map();
  for (const { path, contents } of [page, zstd].flatMap(({ outputFiles }) => outputFiles))
    files.set(path, contents);
  for (const { path, contents, text } of bundles.flatMap(({ outputFiles }) => outputFiles))
    files.set(path, path.endsWith(".js") ? withoutBareImports(text) : contents);
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
  files.set(dist("zstd-licences.txt"), licences("zstd.js and zstd.cjs contain", zstd.metafile));
  files.set(dist("cli-licences.txt"), licences("The command contains", command.metafile, page.metafile));
  const programs = new Map(command.outputFiles.map(({ path, contents }) => [path, contents]));
  rmSync(join(root, STAMP), { force: true });
  for (const [path, content] of files) writeWhole(path, content);
  for (const [path, content] of programs) writeWhole(path, content, 0o755);
  const all = new Map([...files, ...programs]);
  removeOthers(dist(""), all);
  const sizes = [...all].map(([path, content]) => [relative(root, path), Buffer.byteLength(content)]);
  writeWhole(join(root, STAMP), JSON.stringify(Object.fromEntries(sizes), null, 1));
  // An input that was saved meanwhile is newer than this time, so the next run builds it.
  utimesSync(join(root, STAMP), started, started);
}

/** Returns whether dist/ is up to date and complete. */
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
