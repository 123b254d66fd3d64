// What compares the two engines.
import * as wasm from "palloc/shared";
import * as trace from "palloc/trace";
import * as ts from "palloc/ts/shared";
import { acrossEnginesSuite } from "./suite/across-engines.ts";
import { lockstepSuite } from "./suite/lockstep.ts";

const subjects = [
  { label: "wasm", shared: true, palloc: wasm, trace },
  { label: "ts", shared: true, palloc: ts, trace },
] as const;
lockstepSuite(subjects);
acrossEnginesSuite(subjects);
