// The operations of a batch, by their codes.

import { OP_ALLOC, OP_ALLOC_RANGE, OP_FREE, OP_FREE_RESULT, OP_SCAVENGE_RANGE } from "../engine/layout.ts";

/** The codes of a batch's operations; `PageAlloc.run` says what their numbers mean. */
export const Op = {
  alloc: OP_ALLOC,
  allocRange: OP_ALLOC_RANGE,
  free: OP_FREE,
  freeResult: OP_FREE_RESULT,
  scavengeRange: OP_SCAVENGE_RANGE,
} as const;
