// The formats that are read, in the order in which they are tried on a file's first bytes.

import type { Format } from "../format.ts";
import { goPageTrace } from "./go-page-trace/index.ts";
import { malloc } from "./malloc/index.ts";
import { perfKmem } from "./perf-kmem/index.ts";

export const FORMATS: readonly Format[] = [malloc, perfKmem, goPageTrace];
