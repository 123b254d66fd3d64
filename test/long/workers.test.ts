// Shared heaps in workers of Node, under load, and when 1,000 of the workers end.
import { deathsSuite } from "../suite/deaths.ts";
import { loadSuite } from "../suite/load.ts";
import { nodeCrew } from "../support/workers/node-crew.ts";

const crew = await nodeCrew();

loadSuite(crew, 10_000_000);
deathsSuite(crew, 1000, 2);
