// What `palloc bench` measures: the kernels on two inputs, call by call and many chunks in one call.

import { kernelCases } from "../../bench/cases/kernels.mjs";
import { syntheticInputs } from "../../bench/inputs.mjs";

/** The columns that are JavaScript, in the order of the table. */
export const COLUMNS = ["BigInt", "ts", "wasm"];

const GROUPS = ["kernels, per call from JavaScript", "kernels, many chunks in one call"];
/** One parameter of each kernel. */
const INPUTS = /^(bottom|random)(, (min 8|npages 16|n \d+|m 8))?$/;

/** Returns the cases, in the order of the table. */
export function shortCases() {
  return kernelCases(syntheticInputs())
    .filter(({ group, input }) => GROUPS.includes(group) && INPUTS.test(input))
    .sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group))
    .map((each) => ({ ...each, id: [each.group, each.name, each.input].join(" | ") }));
}
