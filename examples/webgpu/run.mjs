// Uploads meshes, removes most of them, defragments, and reads back each time what the GPU has.
import { MeshBuffer } from "./mesh-buffer.mjs";

const KiB = 2 ** 10;
const MAX_BYTES = 4 * 2 ** 20;
const MESHES = 200;

/** Runs the example on a GPU. Returns lines to read. Throws when the GPU does not have what it must have. */
export async function run(device) {
  let gpuError;
  // WebGPU's calls do not throw: the errors of a device arrive later, here.
  device.addEventListener("uncapturederror", ({ error }) => {
    gpuError ??= error;
  });
  const buffer = new MeshBuffer(device, MAX_BYTES);
  const lines = [];
  const tell = (what) => {
    const { inUse, holes } = buffer.stats();
    const size = `${inUse / KiB} KiB in a buffer of ${buffer.buffer.size / KiB} KiB`;
    lines.push(`${what}: ${buffer.meshes.size} meshes, ${size}, ${holes} holes`);
  };

  /** What each mesh must hold. */
  const expected = new Map();
  const add = (number) => {
    const vertices = verticesOf(number);
    const mesh = buffer.add(vertices);
    if (!mesh) throw new Error(`there is no room for mesh ${number}`);
    expected.set(mesh, vertices);
  };
  const check = async () => {
    for (const [mesh, vertices] of expected) mustBeSame(await buffer.read(mesh), vertices, mesh);
    if (gpuError) throw new Error(`WebGPU: ${gpuError.message}`);
  };

  for (let i = 0; i < MESHES; i++) add(i);
  tell("uploaded");
  await check();

  // Of each four meshes, one stays as it is, one grows, and two go.
  for (const [i, [mesh, vertices]] of [...expected].entries()) {
    if (i % 4 === 1) {
      if (!buffer.append(mesh, vertices)) throw new Error(`mesh ${i} cannot grow`);
      expected.set(mesh, Float32Array.of(...vertices, ...vertices));
    } else if (i % 4 > 1) {
      buffer.remove(mesh);
      expected.delete(mesh);
    }
  }
  tell("grown and removed");
  buffer.release();
  tell("released");
  await check();

  const moved = buffer.defragment();
  buffer.release();
  tell(`${moved} moved down, released`);
  await check();

  for (let i = 0; i < MESHES / 4; i++) add(i);
  tell("uploaded more");
  await check();
  lines.push("The GPU has had every vertex of every mesh, each time.");
  return lines;
}

/** The vertices of a mesh: no two meshes have the same, and they differ in size. */
function verticesOf(number) {
  const count = 30 + ((number * 7919) % 1500);
  return Float32Array.from({ length: 3 * count }, (_, i) => number * 2 ** 16 + i);
}

function mustBeSame(actual, expected, { offset }) {
  const wrong = expected.findIndex((value, i) => actual[i] !== value);
  if (wrong < 0 && actual.length === expected.length) return;
  throw new Error(
    `the mesh at ${offset} has ${actual[wrong]} for its number ${wrong}, instead of ${expected[wrong]}`,
  );
}
