// The hooks that users give a heap. hooks.ts and scavenger.ts run them.

/**
 * What the heap tells the system that backs its pages. Hooks run without the lock and may call back into the heap. A
 * promise that a hook returns is not awaited. Each call looks the hook up in this object, which is also its `this`. The
 * object may be an instance of a class and have other properties, but no function with a misspelt hook name.
 */
export interface Sys {
  /**
   * Release these pages: their contents are no longer needed. The heap shows them as in use until the hook returns.
   * Return false to decline: the pages stay unscavenged, and the scavenger skips them until the next reset. A hook that
   * throws declines too, and the call that ran it throws the exception. `unmap` takes the pages away whatever is
   * returned.
   * @param base address of the first page, in bytes
   * @param nbytes length of the run, in bytes
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most hooks return nothing, and need not say so
  unused?(base: number, nbytes: number): boolean | void;
  /**
   * These pages, some of which were released, are about to be used again. If the hook throws, they are free again and
   * scavenged as before, and `alloc` throws the exception.
   * @param base address of the first page, in bytes
   * @param nbytes length of the run, in bytes
   */
  used?(base: number, nbytes: number): void;
}

/** The hooks of a heap that was given none. It can never have any. */
export const NO_HOOKS: Sys = Object.freeze({});
