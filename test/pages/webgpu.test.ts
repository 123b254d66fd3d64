// The example of a GPU buffer, in Chromium on a GPU in software.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runHeadless } from "../../examples/webgpu/headless.mjs";

const readme = new URL("../../examples/webgpu/README.md", import.meta.url);

/** Has one of the copies that move meshes not happen. Runs in the page. */
function dropOneMove() {
  type Copy = (...args: unknown[]) => void;
  const { GPUCommandEncoder } = globalThis as unknown as {
    GPUCommandEncoder: { prototype: { copyBufferToBuffer: Copy } };
  };
  const { prototype } = GPUCommandEncoder;
  const copy = prototype.copyBufferToBuffer;
  let moves = 0;
  prototype.copyBufferToBuffer = function (...args) {
    // Those that read back, and those to a second buffer, begin at 0 of their target.
    if (args[3] !== 0 && ++moves === 20) return;
    copy.apply(this, args);
  };
}

/** Has WebGPU find no GPU. Runs in the page. */
function hideGpus() {
  const { gpu } = navigator as unknown as { gpu: object };
  Object.defineProperty(gpu, "requestAdapter", { value: async () => null });
}

describe("the WebGPU example", () => {
  it("reads back from the GPU what it must, and prints what its README says", async () => {
    const output = readFileSync(readme, "utf8").match(/^```text\n([^`]*)\n```$/m)?.[1];
    expect((await runHeadless()).join("\n")).toBe(output);
  });

  it("fails when the GPU has not moved one mesh", async () => {
    await expect(runHeadless({ prepare: dropOneMove })).rejects.toThrow(/the mesh at \d+ has .* instead of/);
  });

  it("says so when there is no GPU, or no WebGPU", async () => {
    await expect(runHeadless({ prepare: hideGpus })).rejects.toThrow("WebGPU finds no GPU");
    const flags = ["--disable-blink-features=WebGPU"];
    await expect(runHeadless({ flags })).rejects.toThrow(/WebGPU finds no GPU|This browser has no WebGPU/);
  });
});
