// What compares the two engines.
import * as wasm from "palloc/shared";
import * as trace from "palloc/trace";
import * as ts from "palloc/ts/shared";
import { expect, it } from "vitest";
import * as layout from "../src/engine/layout.ts";
import { acrossEnginesSuite } from "./suite/across-engines.ts";
import { lockstepSuite } from "./suite/lockstep.ts";

const subjects = [
  { label: "wasm", shared: true, palloc: wasm, trace },
  { label: "ts", shared: true, palloc: ts, trace },
] as const;
lockstepSuite(subjects);
acrossEnginesSuite(subjects);

it("the header is not taken for a leaf when there is no hint", () => {
  // It has its version where a leaf has its first chunk.
  expect(layout.VERSION % layout.FANOUT).not.toBe(0);
});
