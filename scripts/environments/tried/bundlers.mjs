// Bundlers with their defaults. Their bundles must run in Node, and in pages that name no charset.
import { ISOLATION_HEADERS } from "../../chromium.mjs";
import { checkPage, needs } from "../browsers.mjs";
import { serve } from "../serve.mjs";
import { checkOutput, program } from "../try-out.mjs";

const CLASSIC = "<!doctype html><script src=bundle.js></script>";
const MODULE = '<!doctype html><script type="module" src=bundle.js></script>';

/** Checks the bundle in out/, in a page that names no charset. */
async function checkBundle(project, html) {
  await project.write({ "out/index.html": html });
  const { url, close } = await serve(`${project.folder}/out`, ISOLATION_HEADERS);
  try {
    await checkPage("Chromium", `${url}/`);
  } finally {
    close();
  }
}

const ESBUILD = ["esbuild", "main.js", "--bundle", "--minify", "--log-level=warning"];

export default [
  {
    name: "webpack",
    versions: "5.113",
    async run(project) {
      needs("Chromium");
      await project.install("webpack@5.113.0", "webpack-cli@7.3.1");
      await project.write({ "main.js": program() });
      for (const mode of ["production", "development"]) {
        await project.check(mode, async () => {
          const output = ["--output-path", "out", "--output-filename", "bundle.js"];
          await project.run("webpack", "build", "--entry", "./main.js", "--mode", mode, ...output);
          await checkBundle(project, CLASSIC);
        });
      }
    },
  },
  {
    name: "rollup",
    versions: "4.68",
    note: "One file for `palloc/trace` needs `inlineDynamicImports`, as the zstd decoder is a file of its own.",
    async run(project) {
      needs("Chromium");
      const plugins = ["@rollup/plugin-node-resolve@16.0.3", "@rollup/plugin-terser@1.0.2"];
      await project.install("rollup@4.68.8", ...plugins);
      await project.write({ "main.mjs": program() });
      for (const [format, html] of [
        ["es", MODULE],
        ["iife", CLASSIC],
      ]) {
        await project.check(format, async () => {
          const uses = ["--inlineDynamicImports", "-p", "node-resolve", "-p", "terser"];
          await project.run("rollup", "main.mjs", "-f", format, "-o", "out/bundle.js", ...uses);
          await checkBundle(project, html);
        });
      }
    },
  },
  {
    name: "esbuild",
    versions: "0.28",
    async run(project) {
      needs("Chromium");
      await project.install("esbuild@0.28.2");
      await project.write({ "main.js": program() });
      await project.check("esm", async () => {
        await project.run(...ESBUILD, "--format=esm", "--outfile=out/bundle.js");
        await checkBundle(project, MODULE);
      });
      await project.check("cjs", async () => {
        await project.run(...ESBUILD, "--format=cjs", "--platform=node", "--outfile=out/bundle.cjs");
        checkOutput(await project.run("node", "out/bundle.cjs"));
      });
      await project.check("iife", async () => {
        await project.run(...ESBUILD, "--format=iife", "--outfile=out/bundle.js");
        await checkBundle(project, CLASSIC);
      });
    },
  },
];
