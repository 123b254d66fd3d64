// Shared heaps in workers of a browser. test/long/browser/ has ten times as much load, and more workers that end.
import { deathsSuite } from "../suite/deaths.ts";
import { loadSuite } from "../suite/load.ts";
import { sharedHeapsSuite } from "../suite/shared-heaps.ts";
import { browserCrew } from "../support/workers/browser-crew.ts";

sharedHeapsSuite(browserCrew);
loadSuite(browserCrew, 1_000_000);
// A browser takes two seconds to end a busy worker, so several heaps lose workers at once.
deathsSuite(browserCrew, 20, 5);
