// Every suite over the WebAssembly engine.
import * as palloc from "palloc";
import * as trace from "palloc/trace";
import { everySuite } from "./suite/index.ts";

everySuite({ label: "wasm", palloc, trace });
