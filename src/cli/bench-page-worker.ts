// A column of `palloc bench --page` in a web worker, which is called by the column's name.

import { columnIn } from "./bench-column.ts";

const take = columnIn(self.name, (message) => self.postMessage(message));
self.addEventListener("message", ({ data }) => take(data));
