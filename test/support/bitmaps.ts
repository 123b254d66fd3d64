// Bitmaps as booleans and as hex, and back.
import { type Bits, PAGES } from "./naive.ts";
import type { Palloc, PallocData } from "./subject.ts";

export type PageBits = PallocData["alloc"];

/** Eight words in hex, word 0 first. */
export function hexOf(bits: PageBits): string {
  return Array.from(bits.words, hexOfWord).join("");
}

export const hexOfWord = (word: bigint): string => word.toString(16).padStart(16, "0");

export function setHex(bits: PageBits, hex: string): void {
  for (let k = 0; k < 8; k++) bits.words[k] = BigInt(`0x${hex.slice(k * 16, k * 16 + 16)}`);
}

/** A word's bits, as booleans, bit 0 first. */
export function bitsOfWord(word: bigint): Bits {
  return Array.from(word.toString(2).padStart(64, "0"), (digit) => digit === "1").reverse();
}

export function wordOfBits(bits: readonly boolean[]): bigint {
  return BigInt(`0b0${bits.toReversed().map(Number).join("")}`);
}

export function bitsOf(bits: PageBits): Bits {
  return Array.from(bits.words, bitsOfWord).flat();
}

export function setBits(bits: PageBits, values: Bits): void {
  for (let k = 0; k < PAGES / 64; k++) bits.words[k] = wordOfBits(values.slice(k * 64, k * 64 + 64));
}

/** A chunk with these bitmaps, whether or not a heap could get into such a state. */
export function pallocData({ PallocData }: Palloc, alloc: Bits, scavenged?: Bits): PallocData {
  const data = new PallocData();
  setBits(data.alloc, alloc);
  if (scavenged) setBits(data.scavenged, scavenged);
  return data;
}
