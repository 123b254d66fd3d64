// The licences of the npm packages whose code a bundle contains. Each must be shipped with copies of the code.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readPackage, root } from "./files.mjs";

const PACKAGE = /node_modules\/((?:@[^/]+\/)?[^/]+)\//;

/** Returns the text of an installed package's licence. */
function licenceOf(name) {
  const folder = join(root, "node_modules", name);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence file, so it can't be bundled`);
  return readFileSync(join(folder, file), "utf8").trim();
}

/** Returns one text with the licences of all packages that esbuild's metafiles list. It begins with `whatContains`. */
export function licences(whatContains, ...metafiles) {
  const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs));
  const names = new Set(inputs.map((path) => PACKAGE.exec(path)?.[1]));
  names.delete(undefined);
  const parts = [...names].sort().map((name) => {
    const { version } = readPackage(join("node_modules", name));
    return `${name} ${version}\n\n${licenceOf(name)}\n`;
  });
  return `${whatContains} the following packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
