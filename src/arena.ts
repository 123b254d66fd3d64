// `palloc/arena`: hands out parts of a buffer, and remembers their sizes, on a heap of either engine.

export {
  Arena,
  type ArenaAllocOptions,
  type ArenaHandle,
  type ArenaOptions,
  type ArenaStats,
} from "./arena/arena.ts";
export type { ArenaMemory } from "./arena/memory.ts";
export { PageAllocError } from "./base/errors.ts";
