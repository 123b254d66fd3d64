// The hooks that users give a heap. hooks.ts and scavenger.ts run them.

/**
 * What the heap tells the system that backs its pages. Hooks run without the lock and may call back into the heap. No
 * promise that one returns is waited for. They are looked up in this object when they are to run, and it is their
 * `this`; it may be an instance of a class, and have other properties, but no function with nearly the name of a hook.
 */
export interface Sys {
  /**
   * The pages' contents are not needed any more: release them. Until it returns the pages are held as in use. Return
   * false to decline: they stay unscavenged, and are passed over until the next reset. A hook that throws declines, and
   * the exception reaches the caller of `scavenge`.
   * @param base address of the first page, in bytes
   * @param nbytes length of the run, in bytes
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most hooks return nothing, and need not say so
  unused?(base: number, nbytes: number): boolean | void;
  /**
   * The pages, some of which were released, are about to be used again. If it throws, they are free again, scavenged as
   * they were, and the exception reaches the caller of `alloc`.
   * @param base address of the first page, in bytes
   * @param nbytes length of the run, in bytes
   */
  used?(base: number, nbytes: number): void;
}
