// What a text of malloc logs provides. Each is a file of this folder.

import type { Lines } from "../../source/lines.ts";
import type { Ledger } from "./ledger.ts";

/** One of the texts that malloc logs are written in. */
export interface Text {
  /** Reports whether a log is written so, by its first line that is not blank. */
  recognises(line: string): boolean;
  /**
   * Returns the parser of a log. It is called for each line that is not blank, and notes the call in the ledger. It
   * throws PageAllocError ERR_TRACE for a line that is no call.
   */
  parser(lines: Lines, ledger: Ledger): () => void;
}
