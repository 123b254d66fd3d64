// The page of `palloc bench --page`: times the kernels in web workers, and shows the times. `?quick` is --quick.

import { columnOf, showTables } from "../../bench/browser/page.mjs";
import { resultsText } from "../../bench/report/results.mjs";
import { runScoreboard, SETTINGS } from "../../bench/scoreboard.mjs";
import { COLUMNS, shortCases } from "./bench-cases.ts";

/** Version of the package. */
declare const PALLOC_VERSION: string;

const element = <E extends Element>(selector: string) => document.querySelector(selector) as E;
const status = element("#status");
const results = element<HTMLTextAreaElement>("#results");

function fail(error: Error): void {
  status.textContent = error.message;
}

function startColumn(name: string) {
  const file = new URL("bench-page-worker.js", import.meta.url);
  return columnOf(name, new Worker(file, { type: "module", name }), fail);
}

async function run(): Promise<void> {
  const settings = new URLSearchParams(location.search).has("quick") ? SETTINGS.quick : SETTINGS.normal;
  const cases = shortCases();
  const shown: unknown[] = [];
  const rows = await runScoreboard(COLUMNS.map(startColumn), cases, settings, (row: unknown) => {
    shown.push(row);
    status.textContent = `${shown.length} of ${cases.length} cases`;
    showTables(element("#tables"), shown, COLUMNS);
  });
  const header = {
    date: new Date().toISOString(),
    // A page cannot learn more about its machine.
    machine: `${navigator.hardwareConcurrency} cores`,
    palloc: PALLOC_VERSION,
    runtime: navigator.userAgent,
  };
  status.textContent = `All columns computed the same in all ${rows.length} rows.`;
  results.value = resultsText({ header, columns: COLUMNS, rows });
  results.hidden = false;
}

results.addEventListener("focus", () => results.select());
run().catch(fail);
