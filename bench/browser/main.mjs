// The page: runs the cases in web workers and shows the scoreboard. `?only=PATTERN` and `?quick` run it at once.
import { allCases } from "../cases/index.mjs";
import { COLUMNS } from "../column.mjs";
import { tables } from "../report/table.mjs";
import { askWith } from "../requests.mjs";
import { runScoreboard, SETTINGS, workerColumn } from "../scoreboard.mjs";
import { environment } from "./environment.mjs";

const form = document.querySelector("form");
const status = document.querySelector("#status");
const output = document.querySelector("#tables");

function startColumn(name) {
  const worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module", name });
  const ask = askWith(
    (message) => worker.postMessage(message),
    (take) => worker.addEventListener("message", ({ data }) => take(data)),
  );
  return { worker, ...workerColumn(name, ask) };
}

/** A table row; what is in brackets recedes. */
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

function show(rows) {
  const made = tables(rows, COLUMNS).map(([group, lines]) => {
    const table = document.createElement("table");
    table.append(tableRow([group, "", ...COLUMNS], "th"), ...lines.map((line) => tableRow(line, "td")));
    return table;
  });
  output.replaceChildren(...made);
}

/** Runs the cases that match, showing each row as it comes. */
async function run(only, quick) {
  const pattern = new RegExp(only);
  const cases = (await allCases(environment)).filter(({ id }) => pattern.test(id));
  const columns = COLUMNS.map(startColumn);
  const rows = [];
  try {
    await runScoreboard(columns, cases, quick ? SETTINGS.quick : SETTINGS.normal, (row) => {
      rows.push(row);
      status.textContent = `${rows.length} of ${cases.length}: ${row.id}`;
      show(rows);
    });
    const timer = crossOriginIsolated
      ? ""
      : " The page is not cross-origin isolated, so its clock is coarse.";
    status.textContent = `${rows.length} rows; all columns computed the same. ${navigator.userAgent}.${timer}`;
    status.dataset.done = JSON.stringify({
      header: { browser: navigator.userAgent },
      columns: COLUMNS,
      rows,
    });
  } finally {
    for (const { worker } of columns) worker.terminate();
  }
}

async function start(only, quick) {
  form.hidden = true;
  status.textContent = "Preparing ...";
  try {
    await run(only, quick);
  } catch (error) {
    status.textContent = String(error.message);
    status.dataset.failed = error.stack;
  }
  form.hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  start(form.elements.only.value, form.elements.quick.checked);
});

const query = new URLSearchParams(location.search);
if (query.has("only") || query.has("quick")) start(query.get("only") ?? "", query.has("quick"));
