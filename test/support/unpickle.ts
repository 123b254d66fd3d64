// A plainer unpickler than palloc's own: it keeps the whole value, and trusts the file.

/** Returns the value of a pickle of data. Sets and tuples are arrays; strings are in ASCII. */
export function unpickle(file: Uint8Array): unknown {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const stack: unknown[] = [];
  const marks: number[] = [];
  const memo: unknown[] = [];
  let at = 0;
  const ascii = (length: number) => {
    at += length;
    return String.fromCharCode(...file.subarray(at - length, at));
  };
  /** Returns the place, and moves on. */
  const moved = (length: number) => {
    at += length;
    return at - length;
  };
  const byte = () => file[at++];
  const uint32 = () => view.getUint32(moved(4), true);
  const uint64 = () => Number(view.getBigUint64(moved(8), true));
  const line = () => ascii(file.indexOf(10, at) + 1 - at).trimEnd();
  const items = () => stack.splice(marks.pop() as number);
  const last = <T>() => stack[stack.length - 1] as T;
  const integer = (length: number) => {
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(byte()) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * length, value));
  };
  const setAll = (dict: Record<string, unknown>, pairs: unknown[]) => {
    for (let i = 0; i < pairs.length; i += 2) dict[String(pairs[i])] = pairs[i + 1];
    return dict;
  };
  const opcodes: Record<string, () => unknown> = {
    "\x80": byte,
    "\x95": uint64,
    "(": () => marks.push(stack.length),
    "0": () => (marks[marks.length - 1] === stack.length ? marks.pop() : stack.pop()),
    "1": items,
    "2": () => stack.push(last()),
    N: () => stack.push(null),
    "\x88": () => stack.push(true),
    "\x89": () => stack.push(false),
    I: () => stack.push(Number(line())),
    L: () => stack.push(Number.parseFloat(line())),
    F: () => stack.push(Number(line())),
    J: () => stack.push(uint32() | 0),
    K: () => stack.push(byte()),
    M: () => stack.push(byte() + 256 * byte()),
    G: () => stack.push(view.getFloat64(moved(8))),
    "\x8a": () => stack.push(integer(byte())),
    "\x8b": () => stack.push(integer(uint32())),
    S: () => stack.push(line().slice(1, -1)),
    V: () => stack.push(line()),
    p: () => {
      memo[Number(line())] = last();
    },
    q: () => {
      memo[byte()] = last();
    },
    r: () => {
      memo[uint32()] = last();
    },
    "\x94": () => memo.push(last()),
    g: () => stack.push(memo[Number(line())]),
    h: () => stack.push(memo[byte()]),
    j: () => stack.push(memo[uint32()]),
    a: () => {
      const item = stack.pop();
      last<unknown[]>().push(item);
    },
    e: () => {
      const values = items();
      last<unknown[]>().push(...values);
    },
    s: () => {
      const pair = stack.splice(-2);
      setAll(last(), pair);
    },
    u: () => {
      const pairs = items();
      setAll(last(), pairs);
    },
    d: () => {
      const pairs = items();
      stack.push(setAll({}, pairs));
    },
    "}": () => stack.push({}),
    "\x85": () => stack.push(stack.splice(-1)),
    "\x86": () => stack.push(stack.splice(-2)),
    "\x87": () => stack.push(stack.splice(-3)),
  };
  opcodes["\x90"] = opcodes.e;
  for (const code of "])\x8f") opcodes[code] = () => stack.push([]);
  for (const code of "tl\x91") {
    opcodes[code] = () => {
      const values = items();
      stack.push(values);
    };
  }
  for (const code of "UC\x8c") opcodes[code] = () => stack.push(ascii(byte()));
  for (const code of "TXB") opcodes[code] = () => stack.push(ascii(uint32()));
  for (const code of "\x8d\x8e\x96") opcodes[code] = () => stack.push(ascii(uint64()));
  for (;;) {
    const code = ascii(1);
    if (code === ".") return stack.pop();
    opcodes[code]();
  }
}
