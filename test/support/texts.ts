// Texts as traces, and traces as lists of events, for tests of formats that are lines.
import { loadFixture } from "./fixtures.ts";
import { same } from "./same.ts";

/** The bytes of a text. */
export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A fixture in test/fixtures/traces, unpacked. */
export async function unpackedText(name: string): Promise<string> {
  const data = await loadFixture(`traces/${name}`);
  if (data[0] !== 0x1f) return new TextDecoder().decode(data);
  const out = new Blob([data as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(out).text();
}

/** An event: its kind, base, pages, time, thread and byte in the file. */
export type Row = [kind: string, base: number, npages: number, time: number, proc: number, offset: number];

interface Columns {
  readonly length: number;
  readonly time: Float64Array;
  readonly proc: Int32Array;
  readonly kind: Uint8Array;
  readonly base: Float64Array;
  readonly npages: Uint32Array;
  readonly offset?: Float64Array;
}

/** The events of a trace. */
export function rowsOf({ length, time, proc, kind, base, npages, offset }: Columns): Row[] {
  return Array.from({ length }, (_, i) => [
    ["", "alloc", "free"][kind[i]],
    base[i],
    npages[i],
    time[i],
    proc[i],
    offset?.[i] ?? -1,
  ]);
}

/** Throws at the first event that differs. */
export function sameRows(got: readonly Row[], want: readonly Row[]): void {
  for (let i = 0; i < want.length; i++) same(got[i], want[i], `event ${i}`);
  same(got.length, want.length, "events");
}
