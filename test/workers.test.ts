// Shared heaps in workers of Node.
import { deathsSuite } from "./suite/deaths.ts";
import { loadSuite } from "./suite/load.ts";
import { sharedHeapsSuite } from "./suite/shared-heaps.ts";
import { nodeCrew } from "./support/workers/node-crew.ts";

const crew = await nodeCrew();
// On the Node that the project is developed on all of it; on others, where .ci/run repeats the suite, a tenth.
const share = process.versions.node.startsWith("20.") ? 1 : 0.1;
if (share < 1) console.log("Workers: a tenth of the calls, and of the workers that are ended, on this Node.");

sharedHeapsSuite(crew);
loadSuite(crew, 10_000_000 * share);
deathsSuite(crew, 1000 * share, 2);
