// What a trace format provides. Each is a folder of formats/, and formats/index.ts lists them.

import type { PageTrace, TraceFormat } from "./events.ts";
import type { Input } from "./source/input.ts";

/** A format that traces are read from. */
export interface Format {
  readonly name: TraceFormat;
  /** Whether the option `gcLog` is of use. */
  readonly takesGcLog?: boolean;
  /** Reports whether a file is of this format, by its first bytes: 4,096, or all that there are. */
  recognises(start: Uint8Array): boolean;
  /**
   * Begins to read. Throws PageAllocError ERR_TRACE that names the byte when the input is not a trace of this format,
   * or is one that this way of reading cannot read.
   */
  open(input: Input, options: FormatOptions): Promise<OpenTrace>;
  /** Reads all of a trace, if the format has a better way than to join the blocks. */
  read?(input: Input, options: FormatOptions): Promise<PageTrace>;
}

/** Options of some formats. They have been checked. */
export interface FormatOptions {
  /** PyTorch: the device whose trace is read. */
  readonly device?: number;
  /** Go execution traces: count the objects. */
  readonly objects: boolean;
  /** Go page traces: most events to hold until all before them are known. */
  readonly window: number;
  /** Go page traces: the log beside the trace. */
  readonly gcLog?: Input;
}

/** A trace that is being read. */
export interface OpenTrace {
  /** Bytes per page, in every block. */
  readonly pageSize: number;
  /** Of the neutral form: the format that it was converted from. */
  readonly origin?: string;
  /**
   * The events in time order, in blocks. Each block has new columns, `format` and `pageSize`. Rejects with ERR_TRACE
   * that names the byte. `return` need not close the input.
   */
  readonly blocks: AsyncGenerator<PageTrace>;
}
