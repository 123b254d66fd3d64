// What a suite is run on: one engine, by its public names.

/** Any of the four entries for heaps: they export the same names. */
export type Palloc = typeof import("palloc/shared");
export type PageAlloc = InstanceType<Palloc["PageAlloc"]>;
export type PallocData = InstanceType<Palloc["PallocData"]>;
export type PageCache = InstanceType<Palloc["PageCache"]>;

export interface Subject {
  readonly label: "wasm" | "ts";
  /** Whether the entry has shared heaps. */
  readonly shared: boolean;
  readonly palloc: Palloc;
  readonly trace: typeof import("palloc/trace");
}
