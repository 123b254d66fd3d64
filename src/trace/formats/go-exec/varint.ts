// Reads numbers of 64 bits in LEB128: 7 bits a byte, the lowest first; all bytes but the last have the top bit set.
//
// A number's low 28 bits and its high 36 are kept apart, as a JavaScript number would lose the lowest of 64.

/** Most bytes of a number. */
export const VARINT_BYTES = 10;

/** What `high` counts in. */
const HIGH = 2 ** 28;

/** Bytes of a word. */
const WORD_BYTES = 4;
/** In a word: the top bit of each byte. */
const TOP_BITS = 0x80808080;

/** Reads the numbers of an array. */
export class Varint {
  #bytes: Uint8Array = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #low = 0;
  #high = 0;

  /** Sets the array to read. Returns a view of its bytes. */
  open(bytes: Uint8Array): DataView {
    if (bytes !== this.#bytes) this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#bytes = bytes;
    return this.#view;
  }

  /**
   * Reads a number. Returns the index after it, which is beyond the array if the number is cut short there. Returns -1
   * if the number has more than 64 bits.
   */
  read(start: number): number {
    const at = start | 0;
    if (at + WORD_BYTES > this.#bytes.length) return this.#readBytes(at);
    const word = this.#view.getInt32(at, true);
    const ends = ~word & TOP_BITS;
    if (ends === 0) return this.#readBytes(at);
    // Up to the first byte without the top bit. There is no loop and no branch, as lengths cannot be foreseen.
    const first = ends & -ends;
    const own = word & (first ^ (first - 1));
    this.#low = (own & 0x7f) | ((own >>> 1) & 0x3f80) | ((own >>> 2) & 0x1fc000) | ((own >>> 3) & 0xfe00000);
    this.#high = 0;
    return at + ((39 - Math.clz32(first)) >> 3);
  }

  /** Reads a number byte by byte. */
  #readBytes(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[at++];
      low |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      this.#low = low;
      this.#high = 0;
      // Also here after the last byte of the array.
      return at;
    }
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++];
      high += (byte & 0x7f) * scale;
      if (byte >= 0x80 && at - start < VARINT_BYTES) continue;
      this.#low = low;
      this.#high = high;
      return byte >= 0x80 || high >= 2 ** 36 ? -1 : at;
    }
  }

  /** The number that was read last; exact below 2^53. */
  get value(): number {
    return this.#high * HIGH + this.#low;
  }

  /**
   * The number that was read last, as the distance of two addresses in units. `unit` is a power of two up to 2^28. The
   * writer subtracts in 64 bits and divides then, so a negative distance has wrapped around 2^64 / unit.
   */
  distance(unit: number): number {
    if (this.#high === 0) return this.#low;
    const wrap = 2 ** 36 / unit;
    const high = this.#high < wrap / 2 ? this.#high : this.#high - wrap;
    return high * HIGH + this.#low;
  }
}
