// A column of `palloc bench --page` in a web worker. The worker's name is the column's.

import { columnIn } from "./bench-column.ts";

const take = columnIn(self.name, (message) => self.postMessage(message));
self.addEventListener("message", ({ data }) => take(data));
