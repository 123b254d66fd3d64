// Writes malloc logs of any length, as CSV. They depend on the options alone.
//
// A program has 20,000 to 60,000 blocks. Its allocator has a list of free blocks for each power of two.
//
//    for (const bytes of mallocLog({ lines: 1e6 })) file.write(bytes);
import { randomBelow } from "../random.mjs";

const FIRST = 0x7f00_0000_0000;
/** Bytes of the largest block, and of the smallest: powers of two. */
const LARGEST = 14;
const SMALLEST = 4;
const FEWEST = 20_000;
const MOST = 60_000;
/** Lines of a block. */
const BLOCK = 2 ** 12;

/**
 * Yields the bytes of a log.
 *
 * @param {object} options
 * @param {number} options.lines calls in it; the names of the columns are one line more
 * @param {number} [options.seed] default 1
 */
export function* mallocLog({ lines, seed = 1 }) {
  const encoder = new TextEncoder();
  const below = randomBelow(seed);
  /** Free blocks, by the power of two. */
  const free = Array.from({ length: LARGEST + 1 }, () => []);
  const live = [];
  let end = FIRST;
  let isGrowing = true;
  let time = 0;
  let text = "time,op,address,bytes,thread\n";
  for (let line = 0; line < lines; line++) {
    time += 1 + below(2000);
    if (live.length < FEWEST) isGrowing = true;
    if (live.length > MOST) isGrowing = false;
    const thread = 1 + below(4);
    if (below(5) < (isGrowing ? 3 : 2) || live.length === 0) {
      const power = SMALLEST + below(1 + below(LARGEST - SMALLEST + 1));
      let address = free[power].pop();
      if (address === undefined) {
        address = end;
        end += 2 ** power;
      }
      live.push({ address, power });
      text += `${time},malloc,0x${address.toString(16)},${2 ** power - below(2 ** (power - 1))},${thread}\n`;
    } else {
      const index = below(live.length);
      const { address, power } = live[index];
      live[index] = live[live.length - 1];
      live.pop();
      free[power].push(address);
      text += `${time},free,0x${address.toString(16)},,${thread}\n`;
    }
    if ((line + 1) % BLOCK === 0) {
      yield encoder.encode(text);
      text = "";
    }
  }
  yield encoder.encode(text);
}
