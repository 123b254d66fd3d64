// The example in a page.
const status = document.querySelector("#status");

/** Returns a GPU to use. Throws an error that says why there is none. */
async function findDevice() {
  if (!navigator.gpu) {
    throw new Error(
      "This browser has no WebGPU, or the page is not on localhost or https. " +
        "Chromium on Linux has it with --enable-unsafe-webgpu.",
    );
  }
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) {
    throw new Error("WebGPU finds no GPU. Chromium does without one, with --use-webgpu-adapter=swiftshader.");
  }
  return adapter.requestDevice();
}

try {
  const device = await findDevice();
  // Only now, as a browser without WebGPU lacks its constants too.
  const { run } = await import("./run.mjs");
  const lines = await run(device);
  document.querySelector("pre").textContent = lines.join("\n");
  status.textContent = "Done.";
  status.dataset.done = JSON.stringify(lines);
} catch (error) {
  status.textContent = error.message;
  status.dataset.failed = error.stack;
}
