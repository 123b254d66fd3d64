// Releases of TypeScript, with `strict`. The declarations are checked too, with and without the types of the DOM and of
// Node.

/** A program that uses all entries, and types of each kind. It is checked, never run. */
const source = (hasDom) => `
import { init, PageAlloc, PageAllocError, type PageAllocHandle, type PageAllocOptions } from "palloc";
import wasm from "palloc/palloc.wasm";
import sharedWasm from "palloc/palloc.shared.wasm";
import * as shared from "palloc/shared";
import { PallocData } from "palloc/ts";
import { PageAlloc as Twin } from "palloc/ts/shared";
import { Arena, type ArenaHandle } from "palloc/arena";
import { type PageTrace, readPageTrace, replay } from "palloc/trace";

const options: PageAllocOptions = { pageSize: 8192, sys: { unused: (base, nbytes) => void (base + nbytes) } };
const heap: PageAlloc = new PageAlloc(options);
heap.grow(0, 2 ** 24);
const at: number = heap.alloc(100);
const copy: PageAlloc = PageAlloc.restore(heap.snapshot());
const handle: PageAllocHandle = new shared.PageAlloc({ shared: true }).handle;
Twin.attach(handle).dispose();
const bits: bigint = copy.allocToCache().cache;
copy[Symbol.dispose]();
export const chunk: PallocData = new PallocData();
${hasDom ? "const compiled: WebAssembly.Module = wasm;" : "const compiled = wasm;"}
export async function main(blocks: AsyncIterable<Uint8Array>): Promise<bigint> {
  await init(compiled, sharedWasm);
  const trace: PageTrace = await readPageTrace(blocks);
  replay(PageAlloc, trace);
  return bits;
}
const arena: Arena = new Arena(Twin, new SharedArrayBuffer(4096), { shared: true });
const floats: Float64Array = arena.view(arena.alloc(80, { align: 512 }), Float64Array, 10);
const parts: ArenaHandle = arena.handle;
export const nbytes: number[] = [...Arena.attach(shared.PageAlloc, parts).blocks()].map((block) => block.nbytes);
export const sizes: number = new Arena(PageAlloc, 4096).stats().requested + floats.length;
export const isOurs = (error: unknown): boolean =>
  error instanceof PageAllocError && error.code === "ERR_NOT_FREE";
// @ts-expect-error
heap.alloc("100");
`;
const WITH_DOM = `
export const fromBlob = (blob: Blob) => readPageTrace(blob);
export const fromStream = (stream: ReadableStream<Uint8Array>) => readPageTrace(stream);
`;
const WITH_NODE = `
import { openAsBlob } from "node:fs";
export const fromFile = async () => readPageTrace(await openAsBlob("trace"));
`;

const LIBS = {
  "without DOM and Node": { lib: ["ES2020"], types: [], more: "" },
  "with DOM": { lib: ["ES2022", "DOM"], types: [], more: WITH_DOM },
  "with Node": { lib: ["ES2022"], types: ["node"], more: WITH_NODE },
};

const KINDS = {
  node16: { module: "node16", moduleResolution: "node16" },
  "node16, `.cts`": { module: "node16", moduleResolution: "node16", file: "main.cts" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
  node10: { module: "commonjs", moduleResolution: "node10", esModuleInterop: true, file: "main.ts" },
};

const typescript = (version, versions, kinds, note, more = {}) => ({
  name: "TypeScript",
  versions,
  note,
  async run(project) {
    await project.install(`typescript@${version}`, "@types/node@20.19.43");
    for (const kind of kinds) {
      await project.check(kind, async () => {
        for (const { lib, types, more: text } of Object.values(LIBS)) {
          const { file = "main.mts", ...compilerOptions } = KINDS[kind];
          const config = {
            files: [file],
            compilerOptions: {
              ...compilerOptions,
              ...more,
              lib,
              types,
              target: "es2022",
              strict: true,
              exactOptionalPropertyTypes: true,
              skipLibCheck: false,
              noEmit: true,
            },
          };
          await project.write({
            "tsconfig.json": JSON.stringify(config),
            [file]: source(text === WITH_DOM) + text,
          });
          await project.run("tsc", "-p", ".");
        }
      });
    }
  },
});

const ALL = Object.keys(KINDS);
const NOT_NODE10 = ALL.filter((kind) => kind !== "node10");

export default [
  typescript("5.4.5", "5.4", ALL),
  typescript("5.6.3", "5.6", ALL),
  typescript("5.9.3", "5.9", ALL),
  typescript("6.0.3", "6.0", ALL, '`node10` needs `"ignoreDeprecations": "6.0"`.', {
    ignoreDeprecations: "6.0",
  }),
  typescript("7.0.2", "7.0", NOT_NODE10, "It has no `node10`. Use `node16` or `bundler`."),
];
