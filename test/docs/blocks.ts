// The code blocks of a Markdown file, and what each is for.
//
// A program (```js, ```ts) is followed by its output (```text). Without output it is a file that another program of the
// page uses; its first line is then `// name.mjs`. Commands (```sh) may have an output; without one they must succeed.
// A comment `<!-- not run: reason -->` above commands says why no test runs them.

const PROGRAMS = ["js", "ts"];
const COMMANDS = "sh";
const OUTPUT = "text";
/** What is neither run nor printed. */
const OTHERS = ["http"];

export interface Block {
  language: string;
  /** Line of the opening fence, from 1. */
  line: number;
  text: string;
  /** The block that follows as output. */
  output?: string;
  /** Why no test runs it. */
  notRun?: string;
  /** Its name, if it is a file for another program. */
  file?: string;
}

/** Reads the blocks. Throws if one is of no known kind, or a program's output is missing. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  /** The prose since the last block. */
  let prose = "";
  let open: Block | undefined;
  for (const [i, line] of markdown.split("\n").entries()) {
    if (open && line === "```") {
      add(blocks, open, prose.trim());
      prose = "";
      open = undefined;
    } else if (open) {
      open.text += `${line}\n`;
    } else if (line.trimStart().startsWith("```")) {
      if (line !== line.trimStart()) throw new Error(`line ${i + 1}: blocks must not be indented`);
      open = { language: line.slice(3), line: i + 1, text: "" };
    } else {
      prose += `${line}\n`;
    }
  }
  if (open) throw new Error(`line ${open.line}: the block does not end`);
  for (const block of blocks) {
    if (!PROGRAMS.includes(block.language) || block.output !== undefined) continue;
    block.file = block.text.match(/^\/\/ ([\w-]+\.m[jt]s)$/m)?.[1];
    if (!block.file) throw new Error(`line ${block.line}: neither output nor the name of a file`);
  }
  return blocks;
}

/** Adds a block, or gives it to the block before as output. `prose` is what lies between. */
function add(blocks: Block[], block: Block, prose: string): void {
  if (block.language === OUTPUT) {
    const before = blocks.at(-1);
    if (prose || !before || before.output !== undefined)
      throw new Error(`line ${block.line}: the output of nothing`);
    before.output = block.text;
    return;
  }
  if (![...PROGRAMS, COMMANDS, ...OTHERS].includes(block.language)) {
    throw new Error(`line ${block.line}: blocks of "${block.language}" are of no known kind`);
  }
  const notRun = prose.match(/<!-- not run: ([^>]+) -->$/)?.[1];
  if (notRun && block.language !== COMMANDS) throw new Error(`line ${block.line}: programs must be run`);
  blocks.push({ ...block, notRun });
}
