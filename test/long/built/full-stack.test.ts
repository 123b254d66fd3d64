// Calls that overflow the stack, in all four entries. On the built package: vitest makes a call of each use of an
// imported name, and such a call may overflow where the package makes none.
import * as wasm from "palloc";
import * as sharedWasm from "palloc/shared";
import * as ts from "palloc/ts";
import * as sharedTs from "palloc/ts/shared";
import { fullStackSuite } from "../../suite/full-stack.ts";

fullStackSuite("palloc", wasm, false);
fullStackSuite("palloc/ts", ts, false);
fullStackSuite("palloc/shared", sharedWasm, true);
fullStackSuite("palloc/ts/shared", sharedTs, true);
