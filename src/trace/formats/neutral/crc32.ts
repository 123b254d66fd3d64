// CRC-32, the one of gzip and PNG. It finds every changed byte.

/** Tables for the bytes of a word: of each byte, what it adds to the sum when 3, 2, 1 or no bytes follow it. */
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
    tables[byte] = sum;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256];
    tables[i] = (before >>> 8) ^ tables[before & 0xff];
  }
  return tables;
}

/** Returns the sum of the bytes, 0 to 2^32 - 1. `before` is the sum of those in front of them. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const tables = TABLES;
  const words = bytes.length - (bytes.length % 4);
  let sum = ~before;
  let at = 0;
  for (; at < words; at += 4) {
    sum ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    sum =
      tables[768 + (sum & 0xff)] ^
      tables[512 + ((sum >>> 8) & 0xff)] ^
      tables[256 + ((sum >>> 16) & 0xff)] ^
      tables[sum >>> 24];
  }
  for (; at < bytes.length; at++) sum = (sum >>> 8) ^ tables[(sum ^ bytes[at]) & 0xff];
  return ~sum >>> 0;
}
