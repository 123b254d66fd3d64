// The script of a process of Node whose last act is a promise that waits for a lock which nobody gives back. Its
// argument is the engine. Prints the code of the error that the promise ends with.
import * as wasm from "palloc/shared";
import * as ts from "palloc/ts/shared";
import { HeapLock } from "./heap-lock.ts";
import { sharedHeap } from "./heaps.ts";

const palloc = process.argv[2] === "wasm" ? wasm : ts;
const heap = sharedHeap(palloc, { lockTimeoutMs: 50 });
new HeapLock(heap.handle).take(palloc.PageAlloc.attach(heap.handle).owner);
heap.allocAsync(1).catch(({ code }) => console.log(code));
