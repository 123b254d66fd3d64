// Which room may import which. A room may import those below it, never one above. Import cycles are not allowed, and
// type imports count. `scripts/check-rooms.mjs` runs this, and fails if it has seen no sources.

/** The rooms of src/, from the top down. Rooms on one line must not import each other. */
const ROOMS = [
  ["cli"],
  ["entries"],
  ["lab"],
  ["trace", "arena"],
  ["api"],
  ["heap"],
  ["store"],
  ["engine"],
  ["base"],
];

/** The modules of the command that are started, not imported. */
const PROGRAMS = "^src/cli/(main|read-worker|sweep/worker|bench-worker|bench-page|bench-page-worker)\\.ts$";
/** The zstd decoder, a file of its own in the package. */
const ZSTD = "^src/trace/source/zstd\\.ts$";
const ENTRIES = "^src/[^/]+\\.ts$";
const pathOf = (room) => (room === "entries" ? ENTRIES : `^src/${room}/`);

const upward = ROOMS.flatMap((level, i) =>
  level.map((room) => ({
    name: `${room}-looks-down-only`,
    comment: "A room may import only itself and the rooms below it.",
    severity: "error",
    from: { path: pathOf(room) },
    to: {
      path: ROOMS.slice(0, i + 1)
        .flat()
        .filter((other) => other !== room)
        .map(pathOf),
    },
  })),
).filter(({ to }) => to.path.length > 0);

module.exports = {
  forbidden: [
    {
      name: "no-circle",
      comment: "Files that import each other cannot be read one after the other. Type imports count.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    ...upward,
    {
      name: "cli-knows-entries-only",
      comment:
        "The command is the library's first user. If it needs more than the entries have, so do other users.",
      severity: "error",
      from: { path: "^src/cli/" },
      to: { path: "^(src|build)/", pathNot: ["^src/cli/", ENTRIES] },
    },
    {
      name: "engines-apart",
      comment: "What loads WebAssembly needs nothing of the twin. What both use is in engine/, above them.",
      severity: "error",
      from: { path: "^src/engine/wasm/" },
      to: { path: "^src/engine/(ts|both)/" },
    },
    {
      name: "one-text-knows-what-asc-can-read",
      comment: "Each import of it must be one of AssemblyScript too.",
      severity: "error",
      from: { path: "^src/engine/both/" },
      to: { pathNot: "^src/engine/(both/|ts/|layout\\.ts$|memory\\.ts$)" },
    },
    {
      name: "twin-apart",
      comment: "The twin runs where there is no WebAssembly.",
      severity: "error",
      from: { path: "^src/engine/(ts|both)/" },
      to: { path: "^src/engine/wasm/" },
    },
    {
      name: "engine-by-its-contract",
      comment: "Only the entries choose an engine.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/engine/(ts|wasm|both)/", ENTRIES] },
      to: { path: "^src/engine/(ts|wasm|both)/" },
    },
    {
      name: "formats-apart",
      comment: "A trace format imports no other format and no replay.",
      severity: "error",
      from: { path: "^src/trace/formats/([^/]+)/" },
      to: { path: "^src/trace/(formats/[^/]+/|replay/)", pathNot: "^src/trace/formats/$1/" },
    },
    {
      name: "replay-knows-no-format",
      comment: "A replay runs on the columns that every format provides.",
      severity: "error",
      from: { path: "^src/trace/replay/" },
      to: { path: "^src/trace/formats/" },
    },
    {
      name: "assembly-knows-the-layout",
      comment: "The engine is compiled on its own, with only the layout and the one text.",
      severity: "error",
      from: { path: "^assembly/" },
      to: { path: "^src/", pathNot: "^src/engine/layout\\.ts$" },
    },
    {
      name: "used",
      comment: "A file that neither an entry nor the command leads to is unused, or used only by tests.",
      severity: "error",
      from: { path: [ENTRIES, PROGRAMS] },
      to: {
        path: "^src/",
        pathNot: [ENTRIES, PROGRAMS, "\\.d\\.ts$"],
        reachable: false,
      },
    },
    {
      name: "everything-found",
      severity: "error",
      from: { path: "^src/" },
      to: { couldNotResolve: true, pathNot: "build/palloc\\.(wasm|pair)\\.js$" },
    },
    {
      name: "library-stands-alone",
      comment:
        "Only the command uses Node's modules and npm packages, which are bundled into it. The one exception is the " +
        "zstd decoder, which is bundled into a file of its own.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/cli/", ZSTD] },
      to: { dependencyTypes: ["core", "npm", "npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "zstd-when-needed",
      comment: "The zstd decoder is large. unpack.ts loads it when zstd is met.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/trace/source/unpack\\.ts$" },
      to: { path: ZSTD },
    },
    {
      name: "zstd-is-zstddec",
      comment: "The file has one package in it, and nothing of the library.",
      severity: "error",
      from: { path: ZSTD },
      to: { pathNot: "^node_modules/zstddec/" },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: ["node_modules", "^(build|dist)/"] },
    enhancedResolveOptions: {
      extensions: [".ts", ".mjs", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "default"],
    },
  },
};
