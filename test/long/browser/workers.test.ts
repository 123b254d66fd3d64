// Shared heaps in workers of a browser, under load, and when 50 of the workers end.
import { deathsSuite } from "../../suite/deaths.ts";
import { loadSuite } from "../../suite/load.ts";
import { browserCrew } from "../../support/workers/browser-crew.ts";

loadSuite(browserCrew, 10_000_000);
// A browser takes two seconds to end a busy worker, so several heaps lose workers at once.
deathsSuite(browserCrew, 50, 5);
