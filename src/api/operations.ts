// The operations of a batch, by their codes.

import * as layout from "../engine/layout.ts";

/** The codes of a batch's operations; `PageAlloc.run` says what their numbers mean. */
export const Op = {
  alloc: layout.OP_ALLOC,
  allocRange: layout.OP_ALLOC_RANGE,
  free: layout.OP_FREE,
  freeResult: layout.OP_FREE_RESULT,
  scavengeRange: layout.OP_SCAVENGE_RANGE,
} as const;
