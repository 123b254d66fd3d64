// Vite: its development server, its build, and workers in both.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ISOLATION_HEADERS } from "../../chromium.mjs";
import { checkPage, needs } from "../browsers.mjs";
import { serve } from "../serve.mjs";
import { program } from "../try-out.mjs";

const WORKER = program({ tail: "tryAll().then((line) => postMessage(line));" });
const STARTER = `
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => console.log(data);
worker.onerror = ({ message }) => console.log(message);
`;
const PAGES = {
  "index.html": '<!doctype html><meta charset="utf-8"><script type="module" src="./main.js"></script>',
  "main.js": program(),
  "worker/index.html": '<!doctype html><meta charset="utf-8"><script type="module" src="./main.js"></script>',
  "worker/main.js": STARTER,
  "worker/worker.js": WORKER,
};

export default [
  {
    name: "Vite",
    versions: "8.3",
    async run(project) {
      needs("Chromium");
      await project.install("vite@8.3.8");
      await project.write(PAGES);
      const path = join(project.folder, "node_modules/vite/dist/node/index.js");
      const { build, createServer } = await import(pathToFileURL(path).href);
      const config = { root: project.folder, configFile: false, logLevel: "error" };
      const headers = ISOLATION_HEADERS;
      const server = await createServer({
        ...config,
        server: { headers, host: "localhost", port: 0, watch: null },
      });
      await server.listen();
      const url = server.resolvedUrls.local[0];
      try {
        await project.check("dev", () => checkPage("Chromium", url));
        await project.check("dev, worker", () => checkPage("Chromium", `${url}worker/`));
      } finally {
        await server.close();
      }
      const input = ["index.html", "worker/index.html"].map((file) => join(project.folder, file));
      await build({ ...config, build: { rollupOptions: { input } } });
      const built = await serve(join(project.folder, "dist"), headers);
      try {
        await project.check("build", () => checkPage("Chromium", `${built.url}/`));
        await project.check("build, worker", () => checkPage("Chromium", `${built.url}/worker/`));
      } finally {
        built.close();
      }
    },
  },
];
