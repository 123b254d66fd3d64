// A web worker.
import { work } from "./worker.mjs";

/**
 * Works with the lock that is called as this worker is, which the browser frees when the worker is gone, however it
 * ends.
 */
self.addEventListener("message", ({ data: task }) => {
  navigator.locks.request(self.name, () => work(task, (message) => self.postMessage(message)));
});
