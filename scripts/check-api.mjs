// Checks that the public types are those of the committed reports in etc/, so that no change goes unnoticed.
//
//   node scripts/check-api.mjs [--write]    with --write, updates the reports
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import extractor from "@microsoft/api-extractor";
import { root } from "./files.mjs";

const { Extractor, ExtractorConfig } = extractor;
/** The reports by entry. `palloc/shared` has the types of `palloc`, and `palloc/ts/shared` those of `palloc/ts`. */
const REPORTS = {
  index: "palloc",
  ts: "palloc-ts",
  arena: "palloc-arena",
  trace: "palloc-trace",
  lab: "palloc-lab",
};

const { values: options } = parseArgs({ options: { write: { type: "boolean", default: false } } });
const temporary = join(root, "build/api");
mkdirSync(temporary, { recursive: true });
mkdirSync(join(root, "etc"), { recursive: true });

/** Compares or writes one report. Returns whether it matches the types. */
function check(entry, name) {
  const declarations = `dist/${entry}.d.ts`;
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, declarations),
      compiler: {
        overrideTsconfig: { extends: join(root, "tsconfig.json"), files: [declarations], include: [] },
      },
      // The public classes extend classes that no entry exports.
      apiReport: {
        enabled: true,
        includeForgottenExports: true,
        reportFileName: `${name}.api.md`,
        reportFolder: join(root, "etc"),
        reportTempFolder: temporary,
      },
      newlineKind: "lf",
      messages: {
        extractorMessageReporting: { default: { logLevel: "none" } },
        tsdocMessageReporting: { default: { logLevel: "none" } },
      },
    },
    configObjectFullPath: join(root, "scripts/check-api.mjs"),
    packageJsonFullPath: join(root, "package.json"),
  });
  const { succeeded, apiReportChanged } = Extractor.invoke(config, {
    localBuild: options.write,
    messageCallback: (message) => {
      message.handled = message.logLevel !== "error";
    },
  });
  if (!succeeded && !apiReportChanged) throw new Error(`API Extractor cannot read ${declarations}.`);
  if (!apiReportChanged || options.write) return true;
  console.error(
    `The public types of ${declarations} have changed: compare etc/${name}.api.md with build/api/${name}.api.md.`,
  );
  return false;
}

const same = Object.entries(REPORTS).map(([entry, name]) => check(entry, name));
if (same.includes(false)) {
  console.error("If the change is meant, run 'npm run check:api -- --write' and commit the report.");
  process.exitCode = 1;
} else {
  console.log("The public types are those of the reports in etc/.");
}
