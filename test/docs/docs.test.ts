// README.md and docs/: each code block is run in a user's project and prints what the page says, and what
// scripts/docs.mjs writes is up to date. The project installs the package as the README says.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Block, blocksOf } from "./blocks.ts";
import { Project, root, run } from "./project.ts";

const PAGES = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith(".md"),
);
/** What differs from run to run. */
const RATE = /(?<=events per second +)[\d,]+/g;

const pages = PAGES.map((path) => ({ path, blocks: blocksOf(readFileSync(join(root, path), "utf8")) }));
const isInstall = ({ text }: Block) => text.includes("npm pack");

const folderOf = (path: string) => path.replaceAll("/", "-").replace(/\.md$/, "");
const stable = (output: string) => output.replace(RATE, "N");

let project: Project;

/** The headings of a page, as links name them. */
const headingsOf = (file: string) =>
  Array.from(readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm), ([, text]) =>
    text
      .toLowerCase()
      .replace(/[^\w -]/g, "")
      .replaceAll(" ", "-"),
  );

/** Runs a block and expects what the page says. */
async function expectOutput(folder: string, block: Block): Promise<void> {
  const { status, stdout, stderr } = await project.run(folder, block);
  expect(`${stderr}status ${status}`).toBe("status 0");
  if (block.output !== undefined) expect(stable(stdout)).toBe(stable(block.output));
}

beforeAll(async () => {
  project = new Project();
  for (const { path, blocks } of pages) project.addPage(folderOf(path), blocks);
  const install = pages[0].blocks.find(isInstall) as Block;
  const { status, stderr } = await run(project.folder, "/bin/sh", "-ec", install.text);
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => project.remove());

// The install block has been run.
const programs = pages.flatMap(({ path, blocks }) =>
  blocks
    .filter(({ file, language, notRun }) => language !== "http" && file === undefined && notRun === undefined)
    .filter((block) => !isInstall(block))
    .map((block) => ({ path, line: block.line, block })),
);

it.each(programs)("$path prints what it says: line $line", ({ path, block }) =>
  expectOutput(folderOf(path), block),
);

it.each(PAGES)("the links of %s lead to a file and a heading of it", (path) => {
  for (const [, to, heading] of readFileSync(join(root, path), "utf8").matchAll(
    /\]\((?!https?:)([^)#]*)#?([^)]*)\)/g,
  )) {
    const target = to ? join(root, path, "..", to) : join(root, path);
    expect(existsSync(target), `${to} of ${path}`).toBe(true);
    if (heading) expect(headingsOf(target)).toContain(heading);
  }
});

it("all TypeScript programs compile", async () => {
  const { status, stdout } = await project.compile();
  expect(`${stdout}status ${status}`).toBe("status 0");
});

it("what scripts/docs.mjs writes is up to date", async () => {
  const { status, stderr } = await run(root, process.execPath, "scripts/docs.mjs", "--check");
  expect(`${stderr}status ${status}`).toBe("status 0");
});

describe("the test of the blocks", () => {
  const PROGRAM = '```js\nimport { fillAligned } from "palloc";\nconsole.log(fillAligned(2n, 4));\n```\n';

  it("takes the right output, and no other", async () => {
    for (const [output, right] of [
      ["15n", true],
      ["16n", false],
    ] as const) {
      const blocks = blocksOf(`${PROGRAM}\n\`\`\`text\n${output}\n\`\`\`\n`);
      project.addPage("proof", blocks);
      const outcome = await expectOutput("proof", blocks[0]).then(
        () => true,
        () => false,
      );
      expect(outcome).toBe(right);
    }
  });

  it.each([
    ["a program without output", PROGRAM],
    ["an output without a program", "```text\n1\n```\n"],
    [
      "an output that prose separates from its program",
      `${PROGRAM}\nIt prints:\n\n\`\`\`text\n15n\n\`\`\`\n`,
    ],
    ["a language that is not known", "```c\n```\n"],
    ["a program that is not to be run", `<!-- not run: slow -->\n${PROGRAM}`],
    ["an indented block", "- one\n  ```sh\n  true\n  ```\n"],
    ["a block without an end", "```js\n"],
  ])("refuses %s", (_, markdown) => {
    expect(() => blocksOf(markdown)).toThrow(/^line \d/);
  });
});
