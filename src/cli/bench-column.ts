// Measures one column of `palloc bench`, in a worker of Node or of a page.

import { measure } from "../../bench/measure.mjs";
import { answerWith } from "../../bench/requests.mjs";
import { shortCases } from "./bench-cases.ts";

const ENTRIES: Record<string, () => Promise<object>> = {
  BigInt: () => import("../../bench/peers/bigint/index.mjs"),
  ts: () => import("palloc/ts"),
  wasm: () => import("palloc"),
};

interface Request {
  id: string;
  settings: Parameters<typeof measure>[1];
}

/** Returns the function that takes the messages to the worker of the column `name`. `post` sends the answers. */
export function columnIn(name: string, post: (message: unknown) => void) {
  const column = ENTRIES[name]();
  const cases = new Map(shortCases().map((each) => [each.id, each]));
  const answer = async ({ id, settings }: Request) => measure(cases.get(id)?.create(await column), settings);
  return answerWith(name, answer, post);
}
