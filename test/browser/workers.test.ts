// Shared heaps in workers of a browser.
import { deathsSuite } from "../suite/deaths.ts";
import { loadSuite } from "../suite/load.ts";
import { sharedHeapsSuite } from "../suite/shared-heaps.ts";
import { browserCrew } from "../support/workers/browser-crew.ts";

sharedHeapsSuite(browserCrew);
loadSuite(browserCrew, 10_000_000);
// A browser ends a worker that is busy when two seconds have gone by: on more heaps at once.
deathsSuite(browserCrew, 50, 5);
