// Cloudflare Workers: bundled by Wrangler, run by workerd.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkOutput, program } from "../try-out.mjs";

const CONFIG = { name: "tried-out", main: "main.js", compatibility_date: "2026-04-01" };
const WORKER = program({ tail: "export default { fetch: async () => new Response(await tryAll()) };" });

export default [
  {
    name: "Cloudflare Workers",
    versions: "Wrangler 4.86",
    note: "Traces packed by zstd are not read, as Workers do not compile WebAssembly at run time.",
    async run(project) {
      await project.install("wrangler@4.86.0", "miniflare@4.20260426.0");
      await project.write({ "wrangler.json": JSON.stringify(CONFIG), "main.js": WORKER });
      await project.run("wrangler", "deploy", "--dry-run", "--outdir", "out");
      const path = join(project.folder, "node_modules/miniflare/dist/src/index.js");
      const { Miniflare } = (await import(pathToFileURL(path).href)).default;
      const workers = new Miniflare({
        modules: true,
        modulesRoot: join(project.folder, "out"),
        scriptPath: join(project.folder, "out/main.js"),
        modulesRules: [{ type: "CompiledWasm", include: ["**/*.wasm"] }],
        compatibilityDate: CONFIG.compatibility_date,
      });
      try {
        await project.check("without `init`", async () => {
          checkOutput(await (await workers.dispatchFetch("http://localhost/")).text(), { zstd: false });
        });
      } finally {
        await workers.dispose();
      }
    },
  },
];
