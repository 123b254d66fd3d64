// Tables in Markdown.

/** Returns a table. Its first `left` columns are aligned to the left, the others to the right. */
export function table(head, lines, left = 2) {
  const rule = head.map((_, i) => (i < left ? "---" : "--:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
