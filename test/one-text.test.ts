// The one text of both engines, as asc gets it.
import { describe, expect, it } from "vitest";
import { toAssemblyScript } from "../scripts/one-text.mjs";

const FORMS = {
  "a field": ["x = i32[(node + layout.NODE_FIRST) >>> 2];", "x = load<u32>(node, layout.NODE_FIRST);"],
  "a word": ["x = i32[link >>> 2];", "x = load<u32>(link, 0);"],
  "an address that is a sum": [
    "x = i32[(heap + ref + layout.RECORD_NEXT) >>> 2];",
    "x = load<u32>(heap + ref, layout.RECORD_NEXT);",
  ],
  "a part of a node": [
    "x = i32[((node + layout.NODE_MAX) >>> 2) + slot];",
    "x = load<u32>(node + (slot << 2), layout.NODE_MAX);",
  ],
  "a double": ["x = f64[(heap + layout.HEADER_TOP) >>> 3];", "x = load<f64>(heap, layout.HEADER_TOP);"],
  "a store": ["i32[(heap + layout.JOURNAL_OP) >>> 2] = 0;", "store<u32>(heap, 0, layout.JOURNAL_OP);"],
  "a store of what is loaded": [
    "f64[(heap + layout.HEADER_SCAV_END) >>> 3] = f64[(heap + layout.HEADER_TOP) >>> 3];",
    "store<f64>(heap, load<f64>(heap, layout.HEADER_TOP), layout.HEADER_SCAV_END);",
  ],
  "a comparison, which is no store": [
    "if (i32[(leaf + layout.NODE_FIRST) >>> 2] === first) return;",
    "if (load<u32>(leaf, layout.NODE_FIRST) === first) return;",
  ],
  "memory as an argument": ["f(memory, g(memory, heap), h(memory));", "f(g(heap), h());"],
  "memory as a parameter": [
    "function f(memory: Memory, heap: usize): u32 {\n  const { i32 } = memory;\n  return 0;\n}",
    "function f(heap: usize): u32 {\n  return 0;\n}",
  ],
  "what is built in": ["x = Math.min(31 - Math.clz32(marks), 7);", "x = min(31 - clz(marks), 7);"],
  "the types of AssemblyScript": ['import type { u32, usize } from "../ts/builtins.ts";\nx();', "x();"],
  "what an engine has of its own": [
    'import { find } from "../ts/bits.ts";',
    'import { find } from "../../assembly/bits";',
  ],
  "what both engines have": [
    'import * as layout from "../layout.ts";\nimport { walk } from "./tree.ts";',
    'import * as layout from "../../src/engine/layout";\nimport { walk } from "./tree";',
  ],
  "an inlined function": [
    "// @inline\nfunction f(): u32 {",
    "// @ts-ignore: decorator\n@inline\nfunction f(): u32 {",
  ],
};

describe("the one text", () => {
  it.each(Object.entries(FORMS))("gives asc %s", (_, [text, expected]) => {
    expect(toAssemblyScript(text)).toBe(expected);
  });

  it.each([
    "x = i32[word];",
    "x = i32[(heap + layout.HEADER_TOP) >>> 3];",
    "x = f64[(heap + layout.HEADER_TOP) >>> 2];",
    "x = i32[(level ? node : leaf + layout.NODE_FIRST) >>> 2];",
    "x = i32[((node & mask) >>> 2) + slot];",
  ])("does not give asc %s", (text) => {
    expect(() => toAssemblyScript(text)).toThrow(/does not know this form: (i32|f64)\[/);
  });

  it.each(["x = pages / 2;", "x = pages % 2;", "x = pages >> 2;"])("does not give asc %s", (text) => {
    expect(() => toAssemblyScript(text)).toThrow(`AssemblyScript does this otherwise: ${text}`);
  });

  it("gives asc what it refuses: to assign to a load in place", () => {
    expect(toAssemblyScript("i32[at >>> 2] |= 1;")).toBe("load<u32>(at, 0) |= 1;");
  });
});
