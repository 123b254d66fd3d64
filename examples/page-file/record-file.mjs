// Records in one file: an arena says which range of the file is whose. JavaScript does not see the bytes of a file, so
// the arena is made over a size, and the bytes are read and written here.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { PageAlloc } from "palloc";
import { Arena } from "palloc/arena";

/** Every record begins at a multiple of this: a block of most file systems, so that a free one can be given back. */
const UNIT = 4096;
/** How long the file may become. The arena needs 3 bytes for each unit, whether the file has it yet or not. */
const MAX_BYTES = 2 ** 28;

/**
 * A record is known by its offset in the file, its id. Which ranges are records, and how long each is, lies in a second
 * file: a snapshot of the arena, that `close` writes. A program that ends without `close` loses what it has changed.
 */
export class RecordFile {
  #path;
  #fd;
  #arena;

  constructor(path) {
    this.#path = path;
    const sys = { unused: (base, nbytes) => this.#giveBack(base, nbytes) };
    if (fs.existsSync(path)) {
      const snapshot = fs.readFileSync(this.#snapshotPath);
      this.#arena = Arena.restore(PageAlloc, snapshot, MAX_BYTES, { sys });
      this.#fd = fs.openSync(path, "r+");
    } else {
      this.#arena = new Arena(PageAlloc, MAX_BYTES, { unit: UNIT, sys });
      this.#fd = fs.openSync(path, "wx+");
    }
  }

  /** Writes a record. Returns its id, or -1 if the file is full. */
  add(bytes) {
    const id = this.#arena.alloc(bytes.length);
    if (id >= 0) writeAll(this.#fd, bytes, id);
    return id;
  }

  /** Removes a record. The file has its bytes until another record gets them, or `release` gives them back. */
  remove(id) {
    this.#arena.free(id);
  }

  /** The ids and lengths of all records. */
  *records() {
    for (const { offset, nbytes } of this.#arena.blocks()) yield { id: offset, nbytes };
  }

  /** Reads a record. */
  read({ id, nbytes }) {
    const bytes = Buffer.alloc(nbytes);
    let done = 0;
    while (done < nbytes) {
      const count = fs.readSync(this.#fd, bytes, done, nbytes - done, id + done);
      if (count === 0) throw new Error(`the file ends within the record ${id}`);
      done += count;
    }
    return bytes;
  }

  /** Gives back what is free. Returns how many bytes that were. */
  release() {
    const { heap } = this.#arena;
    // A pass goes downward once; what was freed above it needs another one from the top.
    heap.resetScavengeAddr();
    return heap.scavenge();
  }

  /** The length of the file, and how much of it takes room on the disk. */
  sizes() {
    // Some file systems choose the blocks late.
    fs.fsyncSync(this.#fd);
    const { size, blocks } = fs.fstatSync(this.#fd);
    return { length: size, onDisk: blocks * 512 };
  }

  /** Saves which ranges are records. The snapshot takes the place of the last one in one step. */
  close() {
    fs.fsyncSync(this.#fd);
    fs.closeSync(this.#fd);
    fs.writeFileSync(`${this.#snapshotPath}.new`, this.#arena.snapshot(), { flush: true });
    fs.renameSync(`${this.#snapshotPath}.new`, this.#snapshotPath);
    this.#arena.heap.dispose();
  }

  get #snapshotPath() {
    return `${this.#path}.arena`;
  }

  /**
   * The hook of the heap. There is none for pages that come into use again: a file that is written grows by itself.
   * Returns false if the disk keeps the range, so that the heap does not count it as released.
   */
  #giveBack(base, nbytes) {
    const length = fs.fstatSync(this.#fd).size;
    if (base + nbytes < length) return punchHole(this.#path, base, nbytes);
    // What lies below may have been free for longer. The end is where the last record ends.
    let end = 0;
    for (const { offset, nbytes } of this.#arena.blocks()) end = offset + nbytes;
    if (end < length) fs.ftruncateSync(this.#fd, end);
    return true;
  }
}

/** Writes all bytes at a position: one write may take fewer. */
function writeAll(fd, bytes, position) {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

/** Whether there is a command to punch holes with. */
let canPunch = true;

/**
 * Has a range of a file take no room on the disk, and read as zeros. Node has no call for that, so this takes a command
 * of Linux, which not every file system obeys. Returns whether it did.
 */
function punchHole(path, base, nbytes) {
  if (!canPunch) return false;
  const range = ["--punch-hole", "--offset", String(base), "--length", String(nbytes)];
  canPunch = spawnSync("fallocate", [...range, path]).status === 0;
  return canPunch;
}
