// What compares the two engines.
import * as wasm from "palloc";
import * as trace from "palloc/trace";
import * as ts from "palloc/ts";
import { acrossEnginesSuite } from "./suite/across-engines.ts";
import { lockstepSuite } from "./suite/lockstep.ts";

const subjects = [
  { label: "wasm", palloc: wasm, trace },
  { label: "ts", palloc: ts, trace },
] as const;
lockstepSuite(subjects);
acrossEnginesSuite(subjects);
