// What the benchmark's pages share: a column in a web worker, and the scoreboard as tables.
import { tables } from "../report/table.mjs";
import { askWith } from "../requests.mjs";
import { workerColumn } from "../scoreboard.mjs";

/** A column that `worker` measures. Calls `fail(error)` if the worker fails outside a request, as when it loads. */
export function columnOf(name, worker, fail) {
  worker.addEventListener("error", ({ message = "the worker did not start" }) =>
    fail(new Error(`${name}: ${message}`)),
  );
  const ask = askWith(
    (message) => worker.postMessage(message),
    (take) => worker.addEventListener("message", ({ data }) => take(data)),
  );
  return { worker, ...workerColumn(name, ask) };
}

/** Returns a table row. The part of a cell in brackets is paler. */
function tableRow(texts, tag) {
  const row = document.createElement("tr");
  for (const text of texts) {
    const cell = row.appendChild(document.createElement(tag));
    const [, main, spread] = /^(.*?)( \(.*\))?$/.exec(text);
    cell.append(main);
    if (!spread || tag === "th") continue;
    const note = cell.appendChild(document.createElement("span"));
    note.className = "spread";
    note.append(spread);
  }
  return row;
}

/** Shows the rows in `element`, one table per group, in place of what is there. */
export function showTables(element, rows, columns) {
  const made = tables(rows, columns).map(([group, lines]) => {
    const table = document.createElement("table");
    table.append(tableRow([group, "", ...columns], "th"), ...lines.map((line) => tableRow(line, "td")));
    return table;
  });
  element.replaceChildren(...made);
}
