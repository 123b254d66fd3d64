// src/engine/both/ is one text for both engines. TypeScript takes it as it is, with what is in src/engine/ts/. For asc
// it is written to build/both/, with what is in assembly/ instead, and as AssemblyScript: there, memory is no argument,
// and has no views.
//
//   i32[(node + layout.NODE_FIRST) >>> 2]             load<u32>(node, layout.NODE_FIRST)
//   i32[((node + layout.NODE_MAX) >>> 2) + slot]      load<u32>(node + (slot << 2), layout.NODE_MAX)
//   f64[(heap + layout.HEADER_TOP) >>> 3] = page;     store<f64>(heap, page, layout.HEADER_TOP);
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { removeOthers, root, writeWhole } from "./files.mjs";

const BOTH = "src/engine/both";
const OUT = "build/both";
/** Paths from there. */
const ASSEMBLY = "../../assembly/";
const ENGINE = "../../src/engine/";
const VIEW = /\b(i32|f64)\[/;
/** The forms of a place in a view: an address, or a word so many words from one. */
const PLACES = { i32: /^\(?(.*?)\)? >>> 2$|^\(\(?(.*?)\)? >>> 2\) \+ (\w+)$/s, f64: /^\(?(.*?)\)? >>> 3$/s };
/** What an address may have in brackets only, as a summand follows. */
const OPERATORS = /[?&|^<>]/;
/** What AssemblyScript does otherwise, on lines of code: it divides integers, and shifts u32 without a sign. */
const OTHERWISE = /^(?! *(?:\/\/|\/?\*)).*(?: % | >> | \/ (?!\(.* as f64\))).*$/m;
/** The offset of a field: the last summand of an address. */
const FIELD = /^(.*) \+ (layout\.\w+)$/s;

/** What stands only in the text for TypeScript, as patterns. */
const LEFT_OUT = [
  /^import (type )?\{[^}]*\} from "\.\.\/(ts\/builtins|memory)\.ts";\n/gm,
  /^ +const \{[^}]*\} = memory;\n/gm,
  /\bmemory: Memory,\s*/g,
  /(?<=\()\s*memory(, |,\s+|(?=\)))/g,
  /\bMath\./g,
];

/** Returns the length of a text up to the bracket that closes it. */
function lengthWithin(text) {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if ("([".includes(text[i])) depth++;
    else if (")]".includes(text[i]) && --depth < 0) return i;
  }
  throw new Error(`a bracket does not close: ${text.slice(0, 50)}`);
}

/** Returns an address and the offset of a field there, from a place in a view. */
function splitPlace(view, place) {
  const [, address, start = address, word] = PLACES[view].exec(place) ?? [];
  const [, from, field] = FIELD.exec(start) ?? [null, start, 0];
  if (!from || OPERATORS.test(withoutBrackets(from)))
    throw new Error(`scripts/one-text.mjs does not know this form: ${view}[${place}]`);
  return [withoutViews(word ? `${from} + (${word} << 2)` : from), field];
}

/** Returns what of a text stands in no brackets. */
function withoutBrackets(text) {
  const less = text.replaceAll(/\([^()]*\)|\[[^[\]]*\]/g, "");
  return less === text ? text : withoutBrackets(less);
}

/** Puts loads and stores in place of views. */
function withoutViews(text) {
  const view = VIEW.exec(text);
  if (!view) return text;
  const before = text.slice(0, view.index);
  const inside = text.slice(view.index + view[0].length);
  const length = lengthWithin(inside);
  const [at, field] = splitPlace(view[1], inside.slice(0, length));
  const type = view[1] === "i32" ? "u32" : "f64";
  const rest = inside.slice(length + 1);
  const stored = /^\s*=\s([^=][^;]*);/.exec(rest);
  if (!stored) return `${before}load<${type}>(${at}, ${field})${withoutViews(rest)}`;
  const value = withoutViews(stored[1]);
  const after = withoutViews(rest.slice(stored[0].length));
  return `${before}store<${type}>(${at}, ${value}, ${field});${after}`;
}

/** Returns a file of src/engine/both/ as AssemblyScript. */
export function toAssemblyScript(text) {
  const otherwise = OTHERWISE.exec(text);
  if (otherwise) throw new Error(`AssemblyScript does this otherwise: ${otherwise[0].trim()}`);
  const kept = LEFT_OUT.reduce((rest, pattern) => rest.replace(pattern, ""), text);
  return withoutViews(kept)
    .replaceAll("clz32(", "clz(")
    .replaceAll("// @inline", "// @ts-ignore: decorator\n@inline")
    .replaceAll(/(?<= from "[^"]*)\.ts(?=";$)/gm, "")
    .replaceAll(' from "../ts/', ` from "${ASSEMBLY}`)
    .replaceAll(/ from "\.\.\/(?=\w)/g, ` from "${ENGINE}`);
}

/** What asc compiles. */
export const ONE_TEXT = readdirSync(join(root, BOTH)).map((name) => `both/${name}`);

/** Writes that to build/. */
export function writeOneText() {
  const names = readdirSync(join(root, BOTH));
  for (const name of names) {
    writeWhole(join(root, OUT, name), toAssemblyScript(readFileSync(join(root, BOTH, name), "utf8")));
  }
  removeOthers(join(root, OUT), new Set(names.map((name) => join(root, OUT, name))));
}
