// Next: a page, and a route on the server.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { checkPage, needs } from "../browsers.mjs";
import { checkOutput, program } from "../try-out.mjs";

const PAGE = `export default function Page() {
  useEffect(() => void tryAll().then(console.log), []);
  return null;
}`;
const FILES = {
  "app/layout.js": "export default ({ children }) => <html><body>{children}</body></html>;\n",
  "app/page.js": `"use client";\nimport { useEffect } from "react";\n${program({ tail: PAGE })}`,
  "app/route/route.js": program({
    tail: 'export const dynamic = "force-dynamic";\nexport const GET = async () => new Response(await tryAll());',
  }),
  "next.config.mjs": `const headers = [
  { key: "Cross-Origin-Opener-Policy", value: "same-origin" },
  { key: "Cross-Origin-Embedder-Policy", value: "require-corp" },
];
export default { headers: () => [{ source: "/:path*", headers }] };
`,
};

/** Starts the built site. Returns its address, and a function that ends it. */
async function start(project) {
  const next = join(project.folder, "node_modules/next/dist/bin/next");
  const server = spawn(process.execPath, [next, "start", "--port", "0"], { cwd: project.folder });
  const said = [];
  const url = await new Promise((resolve, reject) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        said.push(text);
        const all = said.join("");
        if (all.includes("Ready")) resolve(/http:\/\/localhost:\d+/.exec(all)[0]);
      });
    }
    server.on("exit", () => reject(new Error(`next start: ${said.join("")}`)));
  });
  return { url, close: () => server.kill() && once(server, "exit") };
}

export default [
  {
    name: "Next",
    versions: "16.4",
    note: "In routes that run on the Edge, which this does not try, use `palloc/ts`.",
    async run(project) {
      needs("Chromium");
      await project.install("next@16.4.6", "react@19.3.1", "react-dom@19.3.1");
      await project.write(FILES);
      await project.run("next", "build");
      const { url, close } = await start(project);
      try {
        await project.check("a page", () => checkPage("Chromium", `${url}/`));
        await project.check("a route", async () => checkOutput(await (await fetch(`${url}/route`)).text()));
      } finally {
        await close();
      }
    },
  },
];
