// The formats that are read, in the order in which they are tried on a file's first bytes.

import type { Format } from "../format.ts";
import { goExec } from "./go-exec/index.ts";
import { goPageTrace } from "./go-page-trace/index.ts";
import { malloc } from "./malloc/index.ts";
import { neutral } from "./neutral/index.ts";
import { perfKmem } from "./perf-kmem/index.ts";
import { pytorch } from "./pytorch/index.ts";

export const FORMATS: readonly Format[] = [neutral, goExec, pytorch, malloc, perfKmem, goPageTrace];
