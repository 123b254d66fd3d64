// Reads a trace in blocks, so many times, and prints a line of JSON: how many events it has, and how long the fastest
// time took, in ms.
//
//   node bench/traces/read.mjs TRACE TIMES
import { openAsBlob } from "node:fs";
import { openTrace } from "../../dist/trace.js";

const [path, times] = process.argv.slice(2);
let best = Infinity;
let events = 0;
for (let i = 0; i < Number(times); i++) {
  const start = performance.now();
  events = 0;
  for await (const block of await openTrace(await openAsBlob(path))) events += block.length;
  best = Math.min(best, performance.now() - start);
}
console.log(JSON.stringify({ events, ms: best }));
