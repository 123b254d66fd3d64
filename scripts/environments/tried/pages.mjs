// Pages with different policies and headers, one without a bundler, and the kinds of worker that only browsers have.
import { join } from "node:path";
import { build } from "esbuild";
import { ISOLATION_HEADERS } from "../../chromium.mjs";
import { checkPage, needs } from "../browsers.mjs";
import { serve } from "../serve.mjs";
import { program } from "../try-out.mjs";

const DIST = "/node_modules/palloc/dist";
const IMPORTS = {
  palloc: `${DIST}/index.js`,
  "palloc/ts": `${DIST}/ts.js`,
  "palloc/shared": `${DIST}/shared.js`,
  "palloc/ts/shared": `${DIST}/ts-shared.js`,
  "palloc/arena": `${DIST}/arena.js`,
  "palloc/trace": `${DIST}/trace.js`,
};
const TWIN_ONLY = { entries: ["palloc/ts", "palloc/ts/shared"], zstd: false };

const SHARED_WORKER = "onconnect = ({ ports }) => tryAll().then((line) => ports[0].postMessage(line));";
const SERVICE_WORKER = "onmessage = ({ source }) => tryAll().then((line) => source.postMessage(line));";

const page = (script) => `<!doctype html>${script}`;

/** The scripts, to be bundled: workers have no import maps, and the policies forbid those of pages. */
const SCRIPTS = {
  "all.js": program(),
  "twin.js": program(TWIN_ONLY),
  "shared-worker.js": program({ tail: SHARED_WORKER }),
  "service-worker.js": program({ tail: SERVICE_WORKER }),
};

const FILES = {
  "map.html": page(`<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="main.mjs"></script>`),
  "main.mjs": program(),
  "all.html": page("<script src=all.js></script>"),
  "twin.html": page("<script src=twin.js></script>"),
  "shared-worker.html": page(`<script>
const worker = new SharedWorker("shared-worker.js");
worker.port.onmessage = ({ data }) => console.log(data);
</script>`),
  "service-worker.html": page(`<script type="module">
navigator.serviceWorker.onmessage = ({ data }) => console.log(data);
await navigator.serviceWorker.register("service-worker.js");
(await navigator.serviceWorker.ready).active.postMessage("go");
</script>`),
};

const policy = (sources) => ({ ...ISOLATION_HEADERS, "Content-Security-Policy": `script-src ${sources}` });

/** What is tried in a browser: its name, its page, its headers, and how the program runs. */
const tried = (serviceWorkersShare) => [
  ["an import map, no bundler", "map.html", ISOLATION_HEADERS],
  ["not isolated, without shared heaps", "map.html", {}, { shared: false }],
  ["no charset", "all.html", ISOLATION_HEADERS],
  ["`script-src 'self'` (`palloc/ts`, `palloc/ts/shared`)", "twin.html", policy("'self'"), TWIN_ONLY],
  ["`script-src 'self' 'wasm-unsafe-eval'`", "all.html", policy("'self' 'wasm-unsafe-eval'")],
  ["SharedWorker, without shared heaps", "shared-worker.html", ISOLATION_HEADERS, { shared: false }],
  [
    serviceWorkersShare ? "ServiceWorker" : "ServiceWorker, without shared heaps",
    "service-worker.html",
    ISOLATION_HEADERS,
    { shared: serviceWorkersShare },
  ],
];

const pages = (browser, serviceWorkersShare) => ({
  name: `Pages in ${browser}`,
  versions: "Debian's",
  note:
    "`palloc` needs `wasm-unsafe-eval` in a page's policy; `palloc/ts` does not. Shared heaps need the headers of an " +
    "isolated page. Otherwise `shared: true` throws `ERR_NOT_ISOLATED`.",
  async run(project) {
    needs(browser);
    await project.install();
    await project.write(FILES);
    for (const [file, contents] of Object.entries(SCRIPTS)) {
      await build({
        stdin: { contents, resolveDir: project.folder },
        outfile: join(project.folder, file),
        bundle: true,
        minify: true,
      });
    }
    for (const [name, file, headers, options] of tried(serviceWorkersShare)) {
      await project.check(name, async () => {
        const { url, close } = await serve(project.folder, headers);
        try {
          await checkPage(browser, `${url}/${file}`, options);
        } finally {
          close();
        }
      });
    }
  },
});

export default [pages("Chromium", true), pages("Firefox", false)];
