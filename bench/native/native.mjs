// The column of native C. Compiles a program, if there is a compiler, and runs it once per case.
import { execFileSync, spawnSync } from "node:child_process";

/** Returns the compiler that CC names, or else the first that can be run, as { command, version }. */
function findCompiler() {
  const { CC } = process.env;
  for (const command of CC ? [CC] : ["cc", "gcc", "clang"]) {
    const { status, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (status === 0) return { command, version: stdout.split("\n")[0] };
  }
  return undefined;
}

/** Returns why nativeColumn returns no column. */
export function whyNoColumn() {
  const what = process.env.CC ? "the compiler cannot be run" : "no C compiler found";
  return `${what}, so there is no native column`;
}

/**
 * Compiles the file `source` to the file `binary`, unless `isFresh` says that this has been done. Returns the
 * compiler's version; undefined if there is none.
 */
export function compileNative(source, binary, isFresh = false) {
  const compiler = findCompiler();
  if (!compiler) return undefined;
  if (!isFresh) {
    const flags = ["-O3", "-std=c11", "-D_POSIX_C_SOURCE=200809L"];
    execFileSync(compiler.command, [...flags, "-o", binary, source], { stdio: "pipe" });
  }
  return compiler.version;
}

/**
 * Returns the column, with the compiler's `version`; undefined if there is no compiler. The other parameters are as for
 * `compileNative`.
 */
export function nativeColumn(source, binary, isFresh) {
  const version = compileNative(source, binary, isFresh);
  if (version === undefined) return undefined;
  return {
    name: "native C",
    version,
    has: (each) => each.native !== undefined,
    async measure({ native: { args, input } }, { budgetMs, leastSamples }) {
      const data = input?.();
      const bytes = data && new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const command = [budgetMs, leastSamples, ...args].map(String);
      return JSON.parse(execFileSync(binary, command, { input: bytes, encoding: "utf8" }));
    },
  };
}
