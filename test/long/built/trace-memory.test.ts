// The memory that a trace takes which was made to take much. On the built package: the sources take half a minute here.
import { readTrace } from "palloc/trace";
import { expect, it } from "vitest";

it("a pickle of open dicts alone takes few bytes for each, and is refused", async () => {
  const most = 2 ** 26 - 2;
  const block = new Uint8Array(2 ** 20).fill("}".charCodeAt(0));
  const memory = () => {
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  };
  const before = memory();
  let taken = 0;
  async function* file() {
    yield Uint8Array.of(0x80, 4);
    for (let at = 0; at <= most; at += block.length) {
      yield block;
      taken = Math.max(taken, memory() - before);
    }
  }
  await expect(readTrace(file())).rejects.toThrow(
    `byte ${most + 2}: more than ${most} values are on the stack; the file is damaged, or no pickle`,
  );
  // One byte each, twice while the stack grows, and what was not collected yet.
  expect(taken).toBeLessThan(4 * most);
});
