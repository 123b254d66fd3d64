// Meshes in one GPU buffer: an arena says which range is whose. JavaScript does not see the bytes of a GPU buffer, so
// the arena is made over a size, and all bytes are moved here, by commands to the GPU.
import { PageAlloc } from "palloc";
import { Arena } from "palloc/arena";

/** Every mesh begins at a multiple of this, so that it can be bound by itself: WebGPU's limits ask for 256 at most. */
const UNIT = 256;
/** The buffer's size is a multiple of this. */
const STEP = 2 ** 16;

const { COPY_DST, COPY_SRC, MAP_READ, VERTEX, STORAGE } = GPUBufferUsage;

/** Where a mesh is. `append` and `defragment` may move it. */
class Mesh {
  constructor(offset, nbytes) {
    this.offset = offset;
    this.nbytes = nbytes;
  }
}

/**
 * The arena has as many bytes as the buffer may ever have, and its heap tells by the two hooks which of them need
 * memory. WebGPU cannot take back the middle of a buffer, but its end: a smaller buffer takes the place of the larger.
 */
export class MeshBuffer {
  /** What to bind or draw from. Another one whenever the size has changed. */
  buffer;
  meshes = new Set();
  #device;
  #arena;
  /** For each unit, 1 if it needs memory. */
  #needed;

  /** A buffer that has up to `maxBytes`. */
  constructor(device, maxBytes) {
    this.#device = device;
    const needed = new Uint8Array(maxBytes / UNIT);
    this.#needed = needed;
    const note = (base, nbytes, value) => needed.fill(value, base / UNIT, (base + nbytes) / UNIT);
    // The hooks only take notes, as one call may run many of them. The buffer is changed once, afterwards.
    const sys = {
      used: (base, nbytes) => void note(base, nbytes, 1),
      unused: (base, nbytes) => void note(base, nbytes, 0),
    };
    this.#arena = new Arena(PageAlloc, maxBytes, { unit: UNIT, sys });
    this.buffer = this.#makeBuffer(STEP);
  }

  /** Uploads a mesh. Returns it, or undefined if there is no room. */
  add(vertices) {
    const offset = this.#arena.alloc(vertices.byteLength);
    if (offset < 0) return undefined;
    this.#growBuffer();
    const mesh = new Mesh(offset, vertices.byteLength);
    this.meshes.add(mesh);
    this.#device.queue.writeBuffer(this.buffer, offset, vertices);
    return mesh;
  }

  /** Uploads more vertices behind those of a mesh. Returns false if there is no room. */
  append(mesh, vertices) {
    const nbytes = mesh.nbytes + vertices.byteLength;
    const offset = this.#arena.realloc(mesh.offset, nbytes);
    if (offset < 0) return false;
    this.#growBuffer();
    if (offset !== mesh.offset) {
      // The arena has no bytes to copy. The old range is free by now, but nothing has been written there since.
      this.#move([{ from: mesh.offset, to: offset, nbytes: mesh.nbytes }]);
    }
    this.#device.queue.writeBuffer(this.buffer, offset + mesh.nbytes, vertices);
    Object.assign(mesh, { offset, nbytes });
    return true;
  }

  /** Forgets a mesh. Its bytes stay as they are until another mesh gets them. */
  remove(mesh) {
    this.#arena.free(mesh.offset);
    this.meshes.delete(mesh);
  }

  /** Moves all meshes down, until no hole is left between them. Returns how many it has moved. */
  defragment() {
    const moves = [];
    for (const mesh of [...this.meshes].sort((a, b) => a.offset - b.offset)) {
      // Below this mesh there are no holes any more but the one that it is free to move into: the lowest place that
      // fits begins there. The two ranges may overlap.
      this.#arena.free(mesh.offset);
      const offset = this.#arena.alloc(mesh.nbytes);
      if (offset !== mesh.offset) moves.push({ from: mesh.offset, to: offset, nbytes: mesh.nbytes });
      mesh.offset = offset;
    }
    this.#move(moves);
    return moves.length;
  }

  /** Releases all that is free, and makes the buffer as small as the highest mesh lets it be. */
  release() {
    const { heap } = this.#arena;
    // Not by scavenge(), which releases whole pages of 4 KiB, as a computer's memory has them. This is to the unit.
    for (const { base, nbytes } of [...heap.freeRuns()]) heap.scavengeRange(base, nbytes / UNIT);
    const size = this.#wantedSize();
    if (size < this.buffer.size) this.#replaceBuffer(size);
  }

  /** Reads a mesh back from the GPU. */
  async read({ offset, nbytes }) {
    const staging = this.#device.createBuffer({ size: nbytes, usage: COPY_DST | MAP_READ });
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.buffer, offset, staging, 0, nbytes);
    this.#device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const vertices = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return vertices;
  }

  /** How many bytes are in use, and how many holes there are in the buffer. */
  stats() {
    const { heap } = this.#arena;
    const holes = [...heap.freeRuns()].filter(({ base, nbytes }) => base + nbytes < this.buffer.size);
    return { ...this.#arena.stats(), holes: holes.length };
  }

  /** Makes the buffer large enough for all units that need memory: twice as large at least, as it may grow often. */
  #growBuffer() {
    const size = this.#wantedSize();
    const most = this.#needed.length * UNIT;
    if (size > this.buffer.size) this.#replaceBuffer(Math.min(most, Math.max(size, 2 * this.buffer.size)));
  }

  #wantedSize() {
    const end = (this.#needed.lastIndexOf(1) + 1) * UNIT;
    return Math.max(STEP, Math.ceil(end / STEP) * STEP);
  }

  #makeBuffer(size) {
    return this.#device.createBuffer({ size, usage: COPY_DST | COPY_SRC | VERTEX | STORAGE });
  }

  /** Gives the buffer another size. The GPU keeps the old one until it has done what was submitted before. */
  #replaceBuffer(size) {
    const old = this.buffer;
    this.buffer = this.#makeBuffer(size);
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, this.buffer, 0, Math.min(old.size, size));
    this.#device.queue.submit([encoder.finish()]);
    old.destroy();
  }

  /**
   * Has the GPU move ranges within the buffer, one after the other. WebGPU copies only from one buffer to another, so
   * each goes by way of a second one. So a range may also overlap the place that it is moved to.
   */
  #move(moves) {
    if (!moves.length) return;
    const size = Math.max(...moves.map(({ nbytes }) => nbytes));
    const between = this.#device.createBuffer({ size, usage: COPY_DST | COPY_SRC });
    const encoder = this.#device.createCommandEncoder();
    for (const { from, to, nbytes } of moves) {
      encoder.copyBufferToBuffer(this.buffer, from, between, 0, nbytes);
      encoder.copyBufferToBuffer(between, 0, this.buffer, to, nbytes);
    }
    this.#device.queue.submit([encoder.finish()]);
    between.destroy();
  }
}
