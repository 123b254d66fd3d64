// `palloc bench --page`: serves a page that times the kernels in the browser that opens it.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const HOST = "127.0.0.1";
const PAGE = "bench-page.html";
const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript" };
/** Cross-origin isolated pages have the finest clock. */
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/**
 * Serves the page, and the modules beside it in `folder`, until the process ends. Port 0 is any free one. Returns the
 * page's URL. Throws when the port is taken.
 */
export async function serveBench(folder: URL, port: number, quick = false): Promise<URL> {
  const server = createServer(async ({ url = "" }, response) => {
    const [name, type] = /^[\w-]+\.(html|js)$/.exec(nameIn(url)) ?? [];
    const content = name && (await readFile(new URL(name, folder)).catch(() => undefined));
    if (content) response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[type] }).end(content);
    else response.writeHead(404, HEADERS).end();
  });
  server.listen(port, HOST);
  await once(server, "listening");
  const url = new URL(`http://${HOST}:${(server.address() as AddressInfo).port}/`);
  if (quick) url.searchParams.set("quick", "");
  return url;
}

/** Returns the name of the file that a request asks for. `path` is the request's URL, which has no host. */
function nameIn(path: string): string {
  return path.replace(/^\//, "").replace(/\?.*/, "") || PAGE;
}
