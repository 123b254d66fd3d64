// Shared heaps in workers of Node. test/long/workers.test.ts has ten times as much load, and as many workers that end.
import { deathsSuite } from "./suite/deaths.ts";
import { loadSuite } from "./suite/load.ts";
import { sharedHeapsSuite } from "./suite/shared-heaps.ts";
import { nodeCrew } from "./support/workers/node-crew.ts";

const crew = await nodeCrew();

sharedHeapsSuite(crew);
loadSuite(crew, 1_000_000);
deathsSuite(crew, 100, 2);
