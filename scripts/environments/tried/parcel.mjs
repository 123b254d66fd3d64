// Parcel, with its defaults and with the setting that makes it read `exports`.
import { ISOLATION_HEADERS } from "../../chromium.mjs";
import { checkPage, needs } from "../browsers.mjs";
import { serve } from "../serve.mjs";
import { program } from "../try-out.mjs";

const SETTING = { "@parcel/resolver-default": { packageExports: true } };
const ROOT_ONLY = { entries: ["palloc"], withOthers: false };

/** Builds a page with the program, and checks it. */
async function checkBuild(project, settings, options) {
  await project.write({
    "package.json": JSON.stringify({ private: true, ...settings }),
    "index.html": '<!doctype html><script type="module" src="./main.js"></script>',
    "main.js": program(options),
  });
  await project.run("parcel", "build", "index.html", "--no-cache", "--dist-dir", "out", "--public-url", "/");
  const { url, close } = await serve(`${project.folder}/out`, ISOLATION_HEADERS);
  try {
    await checkPage("Chromium", `${url}/`, options);
  } finally {
    close();
  }
}

export default [
  {
    name: "Parcel",
    versions: "2.16",
    note:
      "Without the setting, Parcel ignores `exports` and finds only `palloc`. For the others put " +
      '`"@parcel/resolver-default": { "packageExports": true }` into package.json.',
    async run(project) {
      needs("Chromium");
      await project.install("parcel@2.16.4");
      await project.check("`palloc`", () => checkBuild(project, {}, ROOT_ONLY));
      await project.check("all entries, with `packageExports`", () => checkBuild(project, SETTING));
    },
  },
];
