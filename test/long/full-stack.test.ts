// Calls that overflow the stack, in the entries with shared heaps.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { fullStackSuite } from "../suite/full-stack.ts";

fullStackSuite("wasm", wasm, true);
fullStackSuite("ts", ts, true);
