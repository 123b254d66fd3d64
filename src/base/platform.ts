// Types of what comes with the runtime. Users' compilers may know neither the DOM nor Node, and an unknown name in a
// declaration is an error there. So public declarations use these.

/** A WebAssembly.Module; where the compiler does not know that type, any object. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer Module } } }
  ? Module
  : object;

/** A WebAssembly.Memory; where the compiler does not know that type, what has a buffer that grows. */
export type WasmMemory = typeof globalThis extends { WebAssembly: { Memory: { prototype: infer Memory } } }
  ? Memory
  : { readonly buffer: ArrayBufferLike; grow(pages: number): number };

/** What is used of a ReadableStream of bytes. */
export interface ByteStream {
  readonly locked: boolean;
  getReader(): {
    read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
    cancel(): Promise<void>;
  };
}

/** What is used of a Blob. */
export interface ByteBlob {
  readonly size: number;
  stream(): unknown;
  slice?(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** What is used of an AbortSignal. */
export interface Abort {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
