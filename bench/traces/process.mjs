// Runs a whole process, and measures it.
import { spawn } from "node:child_process";
import { once } from "node:events";

const usage = new URL("usage.mjs", import.meta.url).href;

/**
 * Runs Node with some arguments. Returns the time in ms from its start to its end, what it wrote to standard output,
 * and, with `memory`, the most bytes of memory that it had at a time. Rejects if it fails.
 *
 * @param {string[]} args
 * @param {object} [options]
 * @param {boolean} [options.memory] imports a module first, which takes a little time
 * @param {string} [options.piped] a file that standard input gets through a pipe
 */
export function runNode(args, { memory = false, piped } = {}) {
  const first = memory ? ["--no-warnings", "--import", usage] : ["--no-warnings"];
  return run(process.execPath, [...first, ...args], memory, piped);
}

/** Runs a program. Otherwise as `runNode`. */
export async function run(command, args, memory = false, piped) {
  const start = performance.now();
  const source = piped && spawn("cat", [piped], { stdio: ["ignore", "pipe", "inherit"] });
  const stdio = [source ? source.stdout : "ignore", "pipe", "inherit", memory ? "pipe" : "ignore"];
  const child = spawn(command, args, { stdio });
  const texts = [child.stdout, child.stdio[3]].map(textOf);
  const [status] = await once(child, "close");
  const ms = performance.now() - start;
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} ended with status ${status}`);
  const [text, bytes] = await Promise.all(texts);
  return { ms, text, ...(memory && { bytes: Number(bytes) }) };
}

async function textOf(stream) {
  let text = "";
  for await (const part of stream?.setEncoding("utf8") ?? []) text += part;
  return text;
}
