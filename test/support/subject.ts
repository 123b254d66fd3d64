// What a suite is run on: one engine, by its public names.

/** `palloc` or `palloc/ts`: the same names. */
export type Palloc = typeof import("palloc");
export type PageAlloc = InstanceType<Palloc["PageAlloc"]>;
export type PallocData = InstanceType<Palloc["PallocData"]>;
export type PageCache = InstanceType<Palloc["PageCache"]>;

export interface Subject {
  readonly label: "wasm" | "ts";
  readonly palloc: Palloc;
  readonly trace: typeof import("palloc/trace");
}
