// What the build decides, as constants that the optimisers fold: one text gives every target.

/** Whether heaps may be shared between threads: true in `palloc/shared` and `palloc/ts/shared`. */
declare const PALLOC_SHARED: boolean;
/** Whether assertions are checked: true in the tests' debug run alone. */
declare const PALLOC_DEBUG: boolean;
