// Go execution traces made for tests, and a plainer reader of them.

/** The bytes of a number, as traces have it. */
export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left >= 128n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return [...bytes, Number(left)];
}

export const MIN = 0xc000000000;
export const PAGE = 8192;

/** The version of a file. */
export const start = (minor: number): number[] => [...new TextEncoder().encode(`go 1.${minor} trace\0\0\0`)];

const batch = (head: number[], generation: number, m: number, time: number, data: number[]): number[] => [
  ...head,
  ...varint(generation),
  ...varint(m),
  ...varint(time),
  ...varint(data.length),
  ...data,
];

/** A batch of events of one M. */
export const events = (generation: number, m: number, time: number, ...list: number[][]): number[] =>
  batch([1], generation, m, time, list.flat());
export const info = (generation = 1, min = MIN, pageSize = PAGE, align = 8): number[] =>
  batch([49, 1], generation, -1, 1, [1, ...[min, pageSize, align, 2048].flatMap(varint)]);
export const types = (generation = 1): number[] => batch([49, 1], generation, -1, 1, [0, 9, 9, 9]);
export const frequency = (generation = 1, hz = 15_625_000): number[] =>
  batch([1], generation, -1, 900, [8, ...varint(hz)]);
export const sync = (generation = 1, hz = 15_625_000): number[] =>
  batch([1], generation, -1, 1, [50, 8, ...varint(hz), 51, ...[1, 2, 3, 4].flatMap(varint)]);
export const strings = (generation = 1): number[] => batch([1], generation, -1, 1, [4, 5, 1, 1, 65]);
export const END = [52];

/** An event: its type, then its numbers; the first is the ticks since the event before. */
export const event = (type: number, ...numbers: Array<number | bigint>): number[] => [
  type,
  ...numbers.flatMap(varint),
];
/** What a span of a size class is called. */
export const kindOf = (sizeClass: number): number => sizeClass << 2;
export const span = (dt: number, id: number | bigint, npages = 1, kind = 4) =>
  event(128, dt, id, npages, kind);
export const alloc = (dt: number, id: number | bigint, npages = 1, kind = 4) =>
  event(129, dt, id, npages, kind);
export const free = (dt: number, id: number | bigint) => event(130, dt, id);
export const procStart = (dt: number, p: number) => event(10, dt, p, 1);
export const procStop = (dt: number) => event(11, dt);
export const procStatus = (dt: number, p: number, status: number) => event(13, dt, p, status);

export const file = (...parts: number[][]): Uint8Array => Uint8Array.from(parts.flat());

/** A file of one generation, in the form of a version. */
export function fileOf(minor: number, ...batches: number[][]): Uint8Array {
  if (minor < 25) return file(start(minor), info(), ...batches, frequency(), types(), strings());
  const whole = [start(minor), sync(), info(), ...batches, types(), strings()];
  return file(...whole, ...(minor < 26 ? [] : [END]));
}

const COUNTS =
  "9:3 10:3 11:1 12:4 13:3 14:4 15:2 16:3 17:1 18:1 19:3 20:3 21:4 22:3 23:1 24:1 25:4 26:3 27:1 28:2 29:3 30:2 " +
  "31:2 32:2 33:3 34:2 35:2 36:1 37:2 38:2 39:2 40:5 41:3 42:4 43:4 44:5 45:3 46:3 47:4 48:5 128:4 129:4 130:2 " +
  "131:3 132:3 133:2 134:3 135:3 136:2";
const COUNT = new Map(COUNTS.split(" ").map((pair) => pair.split(":").map(Number) as [number, number]));

/** An event, as the plainest reader sees it. */
export interface PlainEvent {
  type: number;
  generation: number;
  m: bigint;
  time: bigint;
  proc: number;
  offset: number;
  numbers: bigint[];
}

/** Reads the events of a trace the plainest way: BigInt numbers, objects, a stable sort of each generation. */
export function plainEvents(data: Uint8Array): PlainEvent[] {
  let at = 16;
  const number = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const all: PlainEvent[] = [];
  const procs = new Map<string, number>();
  while (at < data.length) {
    const head = data[at++];
    if (head === 52) continue;
    if (head === 49) at++;
    const generation = Number(number());
    const m = number();
    let time = number();
    const size = Number(number());
    const end = at + size;
    const skipped = head === 49 || [2, 4, 6, 8, 50].includes(data[at]);
    while (!skipped && at < end) {
      const offset = at;
      const type = data[at++];
      const numbers = Array.from({ length: COUNT.get(type) as number }, number);
      time += numbers[0];
      const key = `${generation} ${m}`;
      if (type === 10 || (type === 13 && (numbers[2] === 1n || numbers[2] === 3n))) {
        procs.set(key, Number(numbers[1]));
      } else if (type === 11) procs.delete(key);
      all.push({ type, generation, m, time, proc: procs.get(key) ?? -1, offset, numbers });
    }
    at = end;
  }
  return all.sort((a, b) => a.generation - b.generation || Number(a.time - b.time));
}
