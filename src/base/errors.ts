// The one error class of the package, and the codes it carries.

/** What went wrong, for programs. The message is for people. */
export type PageAllocErrorCode =
  | "ERR_NOT_ALLOCATED"
  | "ERR_NOT_FREE"
  | "ERR_NOT_MAPPED"
  | "ERR_MISALIGNED"
  | "ERR_OVERLAP"
  | "ERR_LOCKED"
  | "ERR_CORRUPT"
  | "ERR_CHANGED"
  | "ERR_METADATA_FULL"
  | "ERR_DISPOSED"
  | "ERR_NOT_ISOLATED"
  | "ERR_NOT_SHARED"
  | "ERR_TRACE"
  | "ERR_WASM_UNAVAILABLE";

/**
 * Thrown when the arguments are well formed, but the heap, snapshot, trace or runtime does not allow the call. The heap
 * is unchanged. (An argument of the wrong type throws TypeError; one out of range throws RangeError.)
 */
export class PageAllocError extends Error {
  override readonly name = "PageAllocError";
  readonly code: PageAllocErrorCode;

  /**
   * @param code what went wrong
   * @param message names the argument or the damaged part, its value, what is allowed and what to do
   */
  constructor(code: PageAllocErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
