// What a run was measured on, as its results say.
import { cpus } from "node:os";
import { readPackage } from "../../scripts/files.mjs";

/** Returns the header of a run. `about` says what ran it: at least a `runtime` with its version. */
export const headerOf = ({ isQuick, ...about }) => ({
  date: new Date().toISOString(),
  machine: `${cpus()[0].model.trim()}, ${cpus().length} cores, ${process.platform} ${process.arch}`,
  palloc: readPackage().version,
  ...about,
  measured: isQuick ? "quickly: too roughly to compare" : "fully",
});
