// The neutral form, as one of the formats.

import type { Format } from "../../format.ts";
import { isNeutral, openNeutral } from "./read.ts";

export const neutral: Format = { name: "neutral", recognises: isNeutral, open: openNeutral };
