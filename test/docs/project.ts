// A project of a user, in a folder of its own beside the clone, for the code blocks of the docs.
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { pytorchSnapshot } from "../../bench/traces/pytorch-snapshot.mjs";
import type { Block } from "./blocks.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
/** The recorded traces and logs that each page has, by their names there. */
const TRACES = {
  "trace.pt.gz": "go1-json.pt.gz",
  "prog.trace.gz": "go-exec/go1.27-prog-1p.trace.gz",
  "types.pt.gz": "logged/types-gogc50-limit60.pt.gz",
  "types.events.ndjson.gz": "logged/types-gogc50-limit60.events.ndjson.gz",
};
/** No real snapshot may be passed on. */
const SNAPSHOT = { entries: 20_000, depth: 4 };
const TSC = join(root, "node_modules/typescript/bin/tsc");

/** How a program ended. */
export interface End {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program with the Node that runs the tests. */
export function run(cwd: string, file: string, ...args: string[]): Promise<End> {
  const PATH = dirname(process.execPath) + delimiter + process.env.PATH;
  // vitest has set it for itself.
  const { NODE_ENV: _, ...env } = process.env;
  return new Promise((done) => {
    execFile(file, args, { cwd, env: { ...env, PATH } }, (error, stdout, stderr) => {
      done({ status: error ? Number(error.code ?? 1) : 0, stdout, stderr });
    });
  });
}

export class Project {
  readonly #top = mkdtempSync(join(tmpdir(), "palloc-docs-"));
  readonly folder = join(this.#top, "project");
  readonly #snapshot = Buffer.concat([...pytorchSnapshot(SNAPSHOT)]);

  constructor() {
    symlinkSync(root, join(this.#top, "palloc"), "dir");
    this.#write("package.json", JSON.stringify({ type: "module", private: true }));
    // palloc depends on no other package, so installing it asks no registry.
    this.#write(".npmrc", "offline=true\naudit=false\nfund=false\n");
    const compilerOptions = {
      target: "es2022",
      module: "nodenext",
      lib: ["es2023", "esnext.disposable", "es2024.sharedmemory", "dom"],
      strict: true,
      noEmit: true,
      noUnusedLocals: true,
      types: ["node"],
      typeRoots: [join(root, "node_modules/@types")],
    };
    this.#write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["pages"] }));
  }

  #write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Makes a folder for a page, with its programs and some traces. */
  addPage(page: string, blocks: readonly Block[]): void {
    for (const block of blocks) {
      if (block.language === "js" || block.language === "ts") this.#write(fileOf(page, block), block.text);
    }
    const folder = join(this.folder, "pages", page);
    mkdirSync(folder, { recursive: true });
    for (const [name, fixture] of Object.entries(TRACES)) {
      copyFileSync(join(root, "test/fixtures/traces", fixture), join(folder, name));
    }
    writeFileSync(join(folder, "snapshot.pickle"), this.#snapshot);
  }

  /** Runs a page's block: the commands, or the program. */
  async run(page: string, block: Block): Promise<End> {
    const folder = join(this.folder, "pages", page);
    if (block.language === "sh") return run(folder, "/bin/sh", "-ec", block.text);
    let path = join(this.folder, fileOf(page, block));
    if (block.language === "ts") {
      const { code } = await transform(block.text, { loader: "ts", target: "es2022" });
      path = this.#write(fileOf(page, block).replace(/\.mts$/, ".stripped.mjs"), code);
    }
    return run(folder, process.execPath, path);
  }

  /** Compiles the TypeScript programs of all pages. */
  compile(): Promise<End> {
    return run(this.folder, process.execPath, TSC, "-p", ".");
  }

  remove(): void {
    rmSync(this.#top, { recursive: true });
  }
}

/** The path of a page's program in the project. */
function fileOf(page: string, { language, line, file }: Block): string {
  return join("pages", page, file ?? `line-${line}.${language === "ts" ? "mts" : "mjs"}`);
}
