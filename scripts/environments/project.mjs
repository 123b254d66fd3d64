// A project in a folder of its own, as a user of the package would have it.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);
const TIMEOUT_MS = 240_000;
const OUTPUT_MAX = 2 ** 26;

/**
 * Variables that keep tools from using the network and from asking the user. NODE_ENV is left out: Vite sets it in this
 * process, and Next does not work with Vite's value.
 */
const QUIET = {
  NODE_ENV: undefined,
  CI: "1",
  NO_COLOR: "1",
  NEXT_TELEMETRY_DISABLED: "1",
  WRANGLER_SEND_METRICS: "false",
};

export class Project {
  constructor(folder, tarball) {
    this.folder = folder;
    this.tarball = tarball;
    this.works = [];
  }

  /** Installs the packed package, and other packages from npm. */
  async install(...packages) {
    if (!existsSync(join(this.folder, "package.json")))
      await this.write({ "package.json": '{"private":true}' });
    await this.run(
      "npm",
      "install",
      "--no-fund",
      "--no-audit",
      "--loglevel=error",
      this.tarball,
      ...packages,
    );
  }

  /** Writes files: their text by their path. */
  async write(files) {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.folder, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
  }

  /** Runs a command, preferably of an installed package. Returns its output. Throws its output if it fails. */
  async run(command, ...args) {
    const path = [join(this.folder, "node_modules/.bin"), process.env.PATH].join(delimiter);
    try {
      const { stdout, stderr } = await exec(command, args, {
        cwd: this.folder,
        env: { ...process.env, ...QUIET, PATH: path },
        timeout: TIMEOUT_MS,
        maxBuffer: OUTPUT_MAX,
      });
      return stdout + stderr;
    } catch (error) {
      throw new Error(`${command} ${args.join(" ")}: ${error.message}\n${error.stdout}\n${error.stderr}`);
    }
  }

  /** Tries something that must work. The table lists it under `name`. */
  async check(name, work) {
    try {
      await work();
    } catch (error) {
      throw new Error(`${name}: ${error.message}`);
    }
    this.works.push(name);
  }
}
