// Reads test/fixtures in Node and in a browser alike.

const here = import.meta.url;

/** The bytes of a file in test/fixtures. */
export async function loadFixture(name: string): Promise<Uint8Array> {
  const url = new URL(`../fixtures/${name}`, here);
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return new Uint8Array(await readFile(url));
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The JSON values of a gzipped file that has one a line. */
export async function loadLines<T>(name: string): Promise<T[]> {
  const text = new TextDecoder().decode(await gunzip(await loadFixture(name)));
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}

/** The cases of a table of named cases. */
export async function loadCases<T>(name: string): Promise<T[]> {
  return JSON.parse(new TextDecoder().decode(await loadFixture(name))).cases;
}

/** Unpacks gzip. Web servers may have done so on the way, and say so to the browser only: the magic tells. */
async function gunzip(data: Uint8Array): Promise<Uint8Array> {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;
  const stream = new Blob([data as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
