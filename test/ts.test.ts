// Every suite over the TypeScript twin, in the entry with shared heaps.

import * as trace from "palloc/trace";
import * as palloc from "palloc/ts/shared";
import { everySuite } from "./suite/index.ts";

everySuite({ label: "ts", shared: true, palloc, trace });
