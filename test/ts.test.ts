// Every suite over the TypeScript twin.

import * as trace from "palloc/trace";
import * as palloc from "palloc/ts";
import { everySuite } from "./suite/index.ts";

everySuite({ label: "ts", palloc, trace });
