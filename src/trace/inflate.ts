// Gunzips a trace, and keeps what came out before the data turned out to be cut short or damaged: the error can then
// say how far the trace could be read.

/** What a file holds, and why that is not all of it. */
export interface Content {
  readonly data: Uint8Array;
  /** What the gunzipper said when it had to stop; undefined when it came to the end. */
  readonly failure?: string;
}

/** Gunzips, or gives plain data back as it is. A plain trace starts with a sync word, so never like gzip. */
export async function inflate(data: Uint8Array): Promise<Content> {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return { data };
  // A copy, since data may lie in shared memory, which streams refuse.
  const packed = new Blob([new Uint8Array(data)]).stream();
  const reader = packed.pipeThrough(new DecompressionStream("gzip")).getReader();
  const parts: Uint8Array[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { data: concat(parts) };
      parts.push(value);
    }
  } catch (error) {
    return { data: concat(parts), failure: error instanceof Error ? error.message : String(error) };
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
