// Every suite over the WebAssembly engine, in the entry without shared heaps.
import * as palloc from "palloc";
import * as trace from "palloc/trace";
import { everySuite } from "../suite/index.ts";

everySuite({ label: "wasm", shared: false, palloc, trace });
