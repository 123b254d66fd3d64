// The page: runs the cases in web workers and shows the scoreboard. `?only=PATTERN` and `?quick` run it at once.
import { allCases } from "../cases/index.mjs";
import { COLUMNS } from "../column.mjs";
import { errorText } from "../requests.mjs";
import { runScoreboard, SETTINGS } from "../scoreboard.mjs";
import { environment } from "./environment.mjs";
import { columnOf, showTables } from "./page.mjs";

const form = document.querySelector("form");
const status = document.querySelector("#status");
const output = document.querySelector("#tables");

const startColumn = (name) =>
  columnOf(name, new Worker(new URL("worker.mjs", import.meta.url), { type: "module", name }), fail);

function fail(error) {
  status.textContent = String(error.message);
  status.dataset.failed = errorText(error);
}

/** Runs the cases that match, and shows each row as soon as it is done. */
async function run(only, quick) {
  const pattern = new RegExp(only);
  const cases = (await allCases(environment)).filter(({ id }) => pattern.test(id));
  const columns = COLUMNS.map(startColumn);
  const rows = [];
  try {
    await runScoreboard(columns, cases, quick ? SETTINGS.quick : SETTINGS.normal, (row) => {
      rows.push(row);
      status.textContent = `${rows.length} of ${cases.length}: ${row.id}`;
      showTables(output, rows, COLUMNS);
    });
    const timer = crossOriginIsolated
      ? ""
      : " The page is not cross-origin isolated, so its clock is coarse.";
    status.textContent = `${rows.length} rows; all columns computed the same. ${navigator.userAgent}.${timer}`;
    status.dataset.done = JSON.stringify({ userAgent: navigator.userAgent, columns: COLUMNS, rows });
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
    fail(error);
  }
  form.hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  start(form.elements.only.value, form.elements.quick.checked);
});

const query = new URLSearchParams(location.search);
if (query.has("only") || query.has("quick")) start(query.get("only") ?? "", query.has("quick"));
