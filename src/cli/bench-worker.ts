// Measures one column of `palloc bench`, in a worker.

import { parentPort, workerData } from "node:worker_threads";
import { measure } from "../../bench/measure.mjs";
import { answerWith } from "../../bench/requests.mjs";
import { shortCases } from "./bench-cases.ts";

const ENTRIES: Record<string, () => Promise<object>> = {
  BigInt: () => import("../../bench/peers/bigint/index.mjs"),
  ts: () => import("palloc/ts"),
  wasm: () => import("palloc"),
};

const column = ENTRIES[workerData]();
const cases = new Map(shortCases().map((each) => [each.id, each]));

interface Request {
  id: string;
  settings: Parameters<typeof measure>[1];
}

const answer = answerWith(
  workerData,
  async ({ id, settings }: Request) => measure(cases.get(id)?.create(await column), settings),
  (message: unknown) => parentPort?.postMessage(message),
);
parentPort?.on("message", answer);
