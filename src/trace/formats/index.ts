// The formats that are read, in the order in which they are tried on a file's first bytes.

import type { Format } from "../format.ts";
import { goPageTrace } from "./go-page-trace/index.ts";
import { pytorch } from "./pytorch/index.ts";

export const FORMATS: readonly Format[] = [pytorch, goPageTrace];
