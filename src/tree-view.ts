// Going over the chunks of a heap, from JavaScript, by following the tree.

import type { Core } from "./core.ts";
import { FANOUT, HEADER_ROOT, LEVEL_SHIFT, NODE_CHILDREN, NODE_FIRST, NODE_SHAPE } from "./layout.ts";

/** The refs of the leaves, in the order of their chunks. The heap must not grow while they are gone over. */
export function* leaves(core: Core, ref = core.get(HEADER_ROOT)): Generator<number> {
  if (!ref) return;
  if (!(core.get(ref + NODE_SHAPE) >>> LEVEL_SHIFT)) {
    yield ref;
    return;
  }
  for (let slot = 0; slot < FANOUT; slot++) yield* leaves(core, core.get(ref + NODE_CHILDREN + 4 * slot));
}

/** The chunks that have been grown over, ascending, each with the leaf that it is in. */
export function* chunks(core: Core): Generator<{ chunk: number; leaf: number }> {
  for (const leaf of leaves(core)) {
    for (let slot = 0; slot < FANOUT; slot++) {
      if ((core.get(leaf + NODE_SHAPE) >>> slot) & 1)
        yield { chunk: core.get(leaf + NODE_FIRST) + slot, leaf };
    }
  }
}
