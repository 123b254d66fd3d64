// What asconfig.json decides per target, for editors; the compiler knows it by itself.

/** Whether heaps may be shared between threads. */
declare const PALLOC_SHARED: bool;
/** Whether assertions are checked. */
declare const PALLOC_DEBUG: bool;
