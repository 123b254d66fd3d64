// Releases what is committed: sets the version, dates the unreleased section of the CHANGELOG, commits and tags.
// Pushing and publishing are up to you. With --dry-run it does the same in a clone, and shows the commit.
//
//   node scripts/release.mjs patch|minor|major|VERSION [--dry-run]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "./files.mjs";

const UNRELEASED = "## [Unreleased]\n";

/** Releases what is committed in `folder`. Returns the version's tag. Throws, with nothing changed, if it cannot. */
function release(folder, version) {
  const run = (command, ...args) => execFileSync(command, args, { cwd: folder, encoding: "utf8" }).trim();
  if (run("git", "status", "--porcelain"))
    throw new Error("The working tree has changes: commit them first.");
  const path = join(folder, "CHANGELOG.md");
  const changelog = readFileSync(path, "utf8");
  const [, section = ""] = changelog.split(UNRELEASED);
  if (!/^- /m.test(section.split(/^## /m)[0])) {
    throw new Error("The unreleased section of CHANGELOG.md lists no changes: there is nothing to release.");
  }
  const before = run("git", "rev-parse", "HEAD");
  try {
    // npm refuses a version that is invalid or the current one.
    const tag = run("npm", "version", version, "--no-git-tag-version");
    if (run("git", "tag", "--list", tag)) throw new Error(`The tag ${tag} exists already.`);
    const date = new Date().toISOString().slice(0, 10);
    writeFileSync(path, changelog.replace(UNRELEASED, `${UNRELEASED}\n## [${tag.slice(1)}] - ${date}\n`));
    run("git", "commit", "--quiet", "--all", "--message", `Release ${tag.slice(1)}`);
    run("git", "tag", "--annotate", tag, "--message", tag);
    return tag;
  } catch (error) {
    run("git", "reset", "--quiet", "--hard", before);
    throw error;
  }
}

/** Releases in a clone, and shows the commit. */
function rehearse(version) {
  const folder = mkdtempSync(join(tmpdir(), "palloc-release-"));
  try {
    execFileSync("git", ["clone", "--quiet", root, folder]);
    const tag = release(folder, version);
    execFileSync("git", ["show", "--format=%s (%D)", tag], { cwd: folder, stdio: "inherit" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns the arguments; undefined if they are wrong. */
function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { "dry-run": { type: "boolean", default: false } },
    });
    return positionals.length === 1 ? { version: positionals[0], dryRun: values["dry-run"] } : undefined;
  } catch {
    return undefined;
  }
}

const given = readArguments();
if (!given) {
  console.error("Usage: node scripts/release.mjs patch|minor|major|VERSION [--dry-run]");
  process.exit(2);
}
try {
  if (given.dryRun) {
    rehearse(given.version);
  } else {
    const tag = release(root, given.version);
    console.log(`Committed and tagged ${tag}. Now: git push --follow-tags && npm publish`);
  }
} catch (error) {
  // A command that failed has printed why itself.
  if (typeof error.status !== "number") console.error(error.message);
  process.exitCode = 1;
}
