// Every suite over the WebAssembly engine, in the entry with shared heaps.
import * as palloc from "palloc/shared";
import * as trace from "palloc/trace";
import { everySuite } from "./suite/index.ts";

everySuite({ label: "wasm", shared: true, palloc, trace });
