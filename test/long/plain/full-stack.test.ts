// Calls that overflow the stack, in the entries without shared heaps.
import * as wasm from "palloc";
import * as ts from "palloc/ts";
import { fullStackSuite } from "../../suite/full-stack.ts";

fullStackSuite("wasm", wasm, false);
fullStackSuite("ts", ts, false);
