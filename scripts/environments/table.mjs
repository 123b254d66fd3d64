// docs/environments.md: the environments that were tried, and what works there.

const INTRODUCTION = [
  "`npm run check:environments` packs palloc, installs the package in each of these environments, and runs a small",
  "program there. The program makes a heap, grows it, allocates, frees, scavenges, and restores a snapshot. It does so",
  "with `palloc`, `palloc/ts`, `palloc/shared` and `palloc/ts/shared`; the last two share a heap too. `palloc/arena`",
  "hands out parts of a buffer, on each of them, and `palloc/trace` has to refuse bytes that are no trace. All of that",
  "works where the table names no exception. The script writes this page.",
].join(" ");

const AFTERWORDS = [
  "- **TypeScript** is tried with `strict` and without `skipLibCheck`: with the types of the DOM, with those of Node,",
  "and with neither. Releases before 5.4 are not tried. Before 5.2 they do not have `Symbol.dispose`, which the types",
  "need.\n",
  "- **Both kinds of module in one program.** `import` and `require` give two copies of the package, and each has its",
  "own classes. So `instanceof PageAllocError` knows only the errors of its own copy. All entries of a kind have the",
  "same `PageAllocError`. Snapshots and handles may go from one copy to the other.\n",
  "- **Bundlers for Cloudflare Workers** must know the condition `workerd`, as Wrangler does. With others, use",
  "`palloc/ts`.\n",
  "- **Safari** is not tried: neither npm nor Debian has it.\n",
  "- **Electron, React Native, and edge functions other than Cloudflare's** are not tried: npm and Debian do not have",
  "all that they need. Where bytes may not be compiled to WebAssembly, use `palloc/ts`.\n",
]
  .join(" ")
  .replaceAll("\n ", "\n");

const row = (cells) => `| ${cells.join(" | ")} |\n`;

/** Returns the document's text. `works` has what works, by environment. */
export function documentOf(environments, works) {
  const rows = environments.map((environment) => {
    const { name, versions, note = "" } = environment;
    return row([name, versions, works.get(environment).join("; "), note]);
  });
  return [
    `# Where palloc works\n\n${INTRODUCTION}\n\n`,
    row(["environment", "version", "what works", "what to know"]),
    row(["---", "---", "---", "---"]),
    ...rows,
    `\n## What to know\n\n${AFTERWORDS}`,
  ].join("");
}
