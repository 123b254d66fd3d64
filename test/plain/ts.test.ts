// Every suite over the TypeScript twin, in the entry without shared heaps.

import * as trace from "palloc/trace";
import * as palloc from "palloc/ts";
import { everySuite } from "../suite/index.ts";

everySuite({ label: "ts", shared: false, palloc, trace });
