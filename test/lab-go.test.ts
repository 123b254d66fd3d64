// The parts of Go's scavengers: those that need no engine once, the others over both.

import * as wasm from "palloc/shared";
import * as trace from "palloc/trace";
import * as ts from "palloc/ts/shared";
import { argumentsSuite, partArguments } from "./suite/lab-go/arguments.ts";
import { goldenParts, goldenSuite } from "./suite/lab-go/golden.ts";
import { lockstepSuite } from "./suite/lab-go/lockstep.ts";
import { roomSuite } from "./suite/lab-go/room.ts";
import { partTables, tablesSuite } from "./suite/lab-go/tables.ts";
import { tracesSuite } from "./suite/lab-go/traces.ts";
import type { Subject } from "./support/subject.ts";

goldenParts();
partTables();
partArguments();

const subjects: readonly Subject[] = [
  { label: "wasm", shared: true, palloc: wasm, trace },
  { label: "ts", shared: true, palloc: ts, trace },
];
for (const subject of subjects) {
  goldenSuite(subject);
  tablesSuite(subject);
  tracesSuite(subject);
  lockstepSuite(subject);
  argumentsSuite(subject);
  roomSuite(subject);
}
