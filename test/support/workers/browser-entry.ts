// A worker's script, for browsers. It holds a Web Lock of its own name for as long as it lives: a browser says in no
// other way when a worker that is to end has done so.
import { serve } from "./serve.ts";

addEventListener("message", async ({ data }) => postMessage(await serve(data)));
navigator.locks.request(self.name, () => {
  postMessage({ id: 0 });
  return new Promise(() => {});
});
