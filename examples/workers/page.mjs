// The example in a page.
import { run } from "./run.mjs";

const status = document.querySelector("#status");

/** Starts a web worker. Returns what terminates it, and resolves once it is gone. */
function spawn(task, onMessage, onError) {
  const name = `palloc example ${crypto.randomUUID()}`;
  const worker = new Worker(new URL("web-worker.mjs", import.meta.url), { type: "module", name });
  worker.addEventListener("message", ({ data }) => onMessage(data));
  worker.addEventListener("error", ({ message }) => onError(new Error(message || "a worker did not start")));
  worker.postMessage(task);
  return () => {
    worker.terminate();
    // That does not say when: the worker may go on for seconds. Its lock is free when it is gone.
    return navigator.locks.request(name, () => {});
  };
}

function tableRow(texts, tag) {
  const row = document.createElement("tr");
  for (const text of texts) row.appendChild(document.createElement(tag)).append(text);
  return row;
}

function show({ table, lines }) {
  const names = [...new Set(Object.values(table).flatMap(Object.keys))];
  const rows = Object.entries(table).map(([thread, row]) =>
    tableRow([thread, ...names.map((name) => row[name] ?? "")], "td"),
  );
  document.querySelector("table").replaceChildren(tableRow(["", ...names], "th"), ...rows);
  status.textContent = lines.join(" ");
}

try {
  const result = await run(spawn);
  show(result);
  status.dataset.done = JSON.stringify(result);
} catch (error) {
  status.textContent = error.message;
  status.dataset.failed = error.stack;
}
