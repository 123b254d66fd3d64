// The codes of a batch's operations.

import * as layout from "../engine/layout.ts";

/** Codes of the operations of a batch. `PageAlloc.run` documents their arguments. */
export const Op = {
  alloc: layout.OP_ALLOC,
  allocRange: layout.OP_ALLOC_RANGE,
  free: layout.OP_FREE,
  freeResult: layout.OP_FREE_RESULT,
  scavengeRange: layout.OP_SCAVENGE_RANGE,
} as const;
