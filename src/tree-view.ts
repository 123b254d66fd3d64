// Going over the chunks of a heap, from JavaScript, by following the tree.

import type { Core } from "./core.ts";
import { FANOUT, HEADER_ROOT, LEVEL_SHIFT, NODE_CHILDREN, NODE_FIRST, NODE_SHAPE } from "./layout.ts";

/** The chunks that have been grown over, ascending. The lock is held. */
export function chunksOf(core: Core, ref = core.get(HEADER_ROOT), found: number[] = []): number[] {
  if (!ref) return found;
  const shape = core.get(ref + NODE_SHAPE);
  for (let slot = 0; slot < FANOUT; slot++) {
    if (shape >>> LEVEL_SHIFT) chunksOf(core, core.get(ref + NODE_CHILDREN + 4 * slot), found);
    else if ((shape >>> slot) & 1) found.push(core.get(ref + NODE_FIRST) + slot);
  }
  return found;
}
