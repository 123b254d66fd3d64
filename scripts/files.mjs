// What the build scripts share: where the project is, whether an output is still up to date, and how to write one.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's top folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Returns the latest modification time of the files and folders in `paths`, and of all below them, in ms. A removed
 * file counts too, because its folder's time changes.
 */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    const stat = statSync(path);
    latest = Math.max(latest, stat.mtimeMs);
    if (stat.isDirectory())
      latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
  }
  return latest;
}

/** Returns whether `output` exists and is no older than any of `inputs`. Paths are relative to the project. */
export function upToDate(output, inputs) {
  const stat = statSync(join(root, output), { throwIfNoEntry: false });
  return stat !== undefined && stat.mtimeMs >= newest(inputs.map((path) => join(root, path)));
}

/** Writes a file in one step. A process that reads it meanwhile sees all of the old content or all of the new. */
export function writeWhole(path, content, mode = 0o644) {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  try {
    writeFileSync(partial, content, { mode });
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/** Removes all files in `folder`, at any depth, that are not in `keep`, which has full paths. */
export function removeOthers(folder, keep) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeOthers(path, keep);
    else if (!keep.has(path)) rmSync(path, { force: true });
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

/** Returns a parsed package.json: the project's, or that of a folder in it. */
export const readPackage = (folder = ".") =>
  JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
