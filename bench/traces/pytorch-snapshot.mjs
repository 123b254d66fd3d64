// Writes PyTorch memory snapshots of any length. They depend on the options alone. None of a real program may be passed
// on, so tests and benchmarks read these.
//
// A small model of PyTorch's allocator gives the addresses: best fit in segments of 2 MiB for small requests, of 20 MiB
// for larger ones, and of their own for the largest; per stream. It runs before the history begins, so that blocks and
// segments are there that the history does not tell of, as when PyTorch's ring has overwritten its start.
//
//    for (const bytes of pytorchSnapshot({ entries: 1000, protocol: 5 })) file.write(bytes);

import { randomBelow } from "../random.mjs";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const PAGE = 512;

/** @typedef {{ address: number, size: number, requested: number, state: string, segment: Segment }} Block */
/** @typedef {{ address: number, size: number, stream: number, small: boolean, blocks: Block[] }} Segment */
/** @typedef {{ action: string, addr: number, size: number, stream: number, time: number }} Entry */

/**
 * @typedef {object} SnapshotOptions
 * @property {number} entries entries of the history
 * @property {number} [before] entries that happened before it and are lost; default a tenth, and at least 100
 * @property {number} [seed] default 1
 * @property {2 | 3 | 4 | 5} [protocol] of the pickle; default 4
 * @property {"listed" | "shared" | "whole" | "none"} [frames] how stacks are written. "listed", the default, is
 *   PyTorch's way: a list per entry, of dicts that are written once. "shared": a list per stack. "whole": a dict per
 *   frame of each entry.
 * @property {number} [depth] frames per stack; default 24
 * @property {number} [batch] items per APPENDS; 1000 is Python's, Infinity that of PyTorch's own pickler
 * @property {number} [devices] how many devices there are; default 1
 * @property {number} [device] the device that has the history; default 0. The others have none.
 * @property {boolean} [tracesFirst] write the traces before the segments
 */

/**
 * Yields the bytes of a snapshot.
 *
 * @param {SnapshotOptions} options
 * @returns {Generator<Uint8Array<ArrayBuffer>>}
 */
export function* pytorchSnapshot(options) {
  const { entries, before = Math.max(100, Math.ceil(entries / 10)), seed = 1, tracesFirst = false } = options;
  const { protocol = 4, batch = 1000, devices = 1, device = 0 } = options;
  const pickle = new Pickler(protocol);
  const stacks = new Stacks(pickle, options);
  // The end is written before what leads to it, as PyTorch does. So the model runs twice.
  const end = new Model(seed);
  for (let i = 0; i < before + entries; i++) end.next();

  function* traces() {
    pickle.string("device_traces");
    pickle.list();
    pickle.mark();
    for (let i = 0; i < devices; i++) {
      pickle.list();
      if (i === device) yield* history();
    }
    pickle.appends();
  }

  function* history() {
    const model = new Model(seed);
    for (let i = 0; i < before; i++) model.next();
    for (let i = 0; i < entries; i += batch) {
      pickle.mark();
      for (let j = i; j < Math.min(entries, i + batch); j++) {
        const { action, addr, size, stream, time } = model.next();
        pickle.dict();
        pickle.mark();
        pickle.entry("action", action);
        pickle.entry("addr", addr);
        pickle.entry("size", size);
        pickle.entry("stream", stream);
        pickle.entry("time_us", time);
        pickle.string("frames");
        stacks.write(j);
        pickle.setItems();
        yield* pickle.full();
      }
      pickle.appends();
    }
  }

  function* segments() {
    pickle.string("segments");
    pickle.list();
    pickle.mark();
    for (const { address, size, stream, small, blocks } of end.segments) {
      pickle.dict();
      pickle.mark();
      pickle.entry("device", device);
      pickle.entry("address", address);
      pickle.entry("total_size", size);
      pickle.entry("stream", stream);
      pickle.entry("segment_type", small ? "small" : "large");
      pickle.string("segment_pool_id");
      pickle.tuple(0, 0);
      pickle.string("frames");
      pickle.list();
      pickle.string("blocks");
      pickle.list();
      pickle.mark();
      for (const block of blocks) {
        pickle.dict();
        pickle.mark();
        pickle.entry("address", block.address);
        pickle.entry("size", block.size);
        pickle.entry("requested_size", block.requested);
        pickle.entry("state", block.state);
        pickle.setItems();
      }
      pickle.appends();
      pickle.setItems();
      yield* pickle.full();
    }
    pickle.appends();
  }

  pickle.dict();
  pickle.mark();
  if (tracesFirst) yield* traces();
  yield* segments();
  if (!tracesFirst) yield* traces();
  pickle.string("allocator_settings");
  pickle.dict();
  pickle.mark();
  pickle.entry("PYTORCH_CUDA_ALLOC_CONF", "");
  pickle.entry("max_split_size", -1);
  pickle.setItems();
  pickle.setItems();
  yield pickle.end();
}

/** A model of PyTorch's allocator, and of a program that uses it on two streams. */
class Model {
  /** @type {Segment[]} */
  segments = [];
  #below;
  /** @type {Entry[]} What has happened and was not returned yet. */
  #entries = [];
  #time = 1_700_000_000_000_000;
  #nextAddress = 0x7f00_0000_0000;
  /** @type {Block[]} */
  #live = [];
  /** @type {Block[]} Blocks that wait for a stream. */
  #pending = [];
  /** How many blocks the program would like to have. */
  #target = 40;

  /** @param {number} seed */
  constructor(seed) {
    this.#below = randomBelow(seed);
  }

  /** @returns {Entry} */
  next() {
    while (this.#entries.length === 0) this.#step();
    return /** @type {Entry} */ (this.#entries.shift());
  }

  #step() {
    const below = this.#below;
    this.#time += 1 + below(50);
    if (below(200) === 0) this.#target = 20 + below(200);
    if (this.#pending.length > 0 && below(3) === 0)
      return this.#complete(/** @type {Block} */ (this.#pending.shift()));
    if (below(400) === 0) return this.#releaseEmpty();
    if (below(this.#target * 2) >= this.#live.length) return this.#alloc();
    // Young blocks go first.
    const age = below(below(this.#live.length) + 1);
    const [block] = this.#live.splice(this.#live.length - 1 - age, 1);
    this.#add("free_requested", block.address, block.requested, block.segment.stream);
    if (below(4) > 0) return this.#complete(block);
    block.state = "active_pending_free";
    this.#pending.push(block);
  }

  #alloc() {
    const below = this.#below;
    const kind = below(20);
    let requested = 1 + below(64 * KIB);
    if (kind > 10) requested = 4 * (1 + below(256 * KIB));
    if (kind > 14) requested = 4 * (256 * KIB + below(2 * MIB));
    if (kind === 19) requested = 4 * (3 * MIB + below(8 * MIB));
    const stream = below(8) === 0 ? 0x55d0_1234_5670 : 0;
    const size = Math.ceil(requested / PAGE) * PAGE;
    const small = size <= MIB;
    const block = this.#bestFit(size, small, stream) ?? this.#grow(size, small, stream);
    const rest = block.size - size;
    if (small ? rest > 0 : rest > MIB) {
      const { segment } = block;
      const { blocks } = segment;
      const free = { address: block.address + size, size: rest, requested: 0, state: "inactive", segment };
      blocks.splice(blocks.indexOf(block) + 1, 0, free);
      block.size = size;
    }
    block.requested = requested;
    block.state = "active_allocated";
    this.#live.push(block);
    this.#add("alloc", block.address, requested, stream);
  }

  /**
   * @param {number} size
   * @param {boolean} small
   * @param {number} stream
   */
  #bestFit(size, small, stream) {
    /** @type {Block | undefined} */
    let best;
    for (const segment of this.segments) {
      if (segment.small !== small || segment.stream !== stream) continue;
      for (const block of segment.blocks) {
        if (block.state !== "inactive" || block.size < size) continue;
        if (!best || block.size < best.size) best = block;
      }
    }
    return best;
  }

  /**
   * @param {number} size
   * @param {boolean} small
   * @param {number} stream
   */
  #grow(size, small, stream) {
    let total = 20 * MIB;
    if (small) total = 2 * MIB;
    else if (size > 10 * MIB) total = Math.ceil(size / (2 * MIB)) * 2 * MIB;
    /** @type {Segment} */
    const segment = { address: this.#nextAddress, size: total, stream, small, blocks: [] };
    this.#nextAddress += total + 2 * MIB * this.#below(4);
    const block = { address: segment.address, size: total, requested: 0, state: "inactive", segment };
    segment.blocks.push(block);
    this.segments.push(segment);
    this.#add("segment_alloc", segment.address, total, stream);
    return block;
  }

  /** @param {Block} block */
  #complete(block) {
    const { segment } = block;
    const { blocks } = segment;
    this.#add("free_completed", block.address, block.requested, segment.stream);
    block.state = "inactive";
    block.requested = 0;
    const at = blocks.indexOf(block);
    const next = blocks[at + 1];
    if (next?.state === "inactive") {
      block.size += next.size;
      blocks.splice(at + 1, 1);
    }
    const previous = blocks[at - 1];
    if (previous?.state === "inactive") {
      previous.size += block.size;
      blocks.splice(at, 1);
    }
  }

  /** As torch.cuda.empty_cache() does. */
  #releaseEmpty() {
    const isEmpty = (/** @type {Segment} */ { blocks }) =>
      blocks.length === 1 && blocks[0].state === "inactive";
    for (const { address, size, stream } of this.segments.filter(isEmpty)) {
      this.#add("segment_free", address, size, stream);
    }
    this.segments = this.segments.filter((segment) => !isEmpty(segment));
  }

  /**
   * @param {string} action
   * @param {number} addr
   * @param {number} size
   * @param {number} stream
   */
  #add(action, addr, size, stream) {
    this.#entries.push({ action, addr, size, stream, time: this.#time });
  }
}

/** Writes stacks: of 500 stacks, each with frames of 2,000. */
class Stacks {
  #pickle;
  #kind;
  #depth;
  /** @type {Map<number, number>} Memo numbers of frames or lists that were written. */
  #written = new Map();

  /**
   * @param {Pickler} pickle
   * @param {SnapshotOptions} options
   */
  constructor(pickle, { frames = "listed", depth = 24 }) {
    this.#pickle = pickle;
    this.#kind = frames;
    this.#depth = depth;
  }

  /** @param {number} entry its index, which chooses the stack */
  write(entry) {
    const pickle = this.#pickle;
    const stack = ((entry * 2654435761) >>> 8) % 500;
    if (this.#kind === "shared" && this.#again(stack)) return;
    const memo = pickle.list();
    if (this.#kind === "shared") this.#written.set(stack, memo);
    if (this.#kind === "none") return;
    pickle.mark();
    for (let i = 0; i < this.#depth; i++) {
      // Stacks have their outer frames in common.
      this.#frame(i < this.#depth / 2 ? i : (stack * 31 + i) % 2000);
    }
    pickle.appends();
  }

  /** @param {number} frame */
  #frame(frame) {
    const pickle = this.#pickle;
    if (this.#kind === "listed" && this.#again(frame)) return;
    const memo = pickle.dict();
    if (this.#kind === "listed") this.#written.set(frame, memo);
    pickle.mark();
    pickle.entry("name", `forward_${frame % 97}`);
    pickle.entry(
      "filename",
      `/opt/venv/lib/python3.11/site-packages/torch/nn/modules/module_${frame % 53}.py`,
    );
    pickle.entry("line", frame);
    pickle.setItems();
  }

  /** @param {number} id */
  #again(id) {
    const memo = this.#written.get(id);
    if (memo === undefined) return false;
    this.#pickle.get(memo);
    return true;
  }
}

const BLOCK_BYTES = 2 ** 16;
const FRAME_BYTES = 9;

/** Writes opcodes as Python's pickler does. */
class Pickler {
  #protocol;
  #bytes = new Uint8Array(2 * BLOCK_BYTES);
  #view = new DataView(this.#bytes.buffer);
  /** Where the next byte goes. There is room for the opcode FRAME before it. */
  #at = FRAME_BYTES;
  #isFirst = true;
  #memo = 0;
  /** @type {Map<string, number>} */
  #strings = new Map();

  /** @param {number} protocol */
  constructor(protocol) {
    this.#protocol = protocol;
  }

  /** Begins a dict, and returns its number in the memo. */
  dict() {
    this.#byte(0x7d);
    return this.#memoize();
  }

  /** Begins a list, and returns its number in the memo. */
  list() {
    this.#byte(0x5d);
    return this.#memoize();
  }

  mark() {
    this.#byte(0x28);
  }

  setItems() {
    this.#byte(0x75);
  }

  appends() {
    this.#byte(0x65);
  }

  /**
   * @param {number} a
   * @param {number} b
   */
  tuple(a, b) {
    this.integer(a);
    this.integer(b);
    this.#byte(0x86);
    this.#memoize();
  }

  /**
   * @param {string} key
   * @param {string | number} value
   */
  entry(key, value) {
    this.string(key);
    if (typeof value === "number") this.integer(value);
    else this.string(value);
  }

  /** @param {string} text in ASCII */
  string(text) {
    const memo = this.#strings.get(text);
    if (memo !== undefined) return this.get(memo);
    if (this.#protocol >= 4) {
      this.#byte(0x8c);
      this.#byte(text.length);
    } else {
      this.#byte(0x58);
      this.#uint32(text.length);
    }
    for (let i = 0; i < text.length; i++) this.#byte(text.charCodeAt(i));
    this.#strings.set(text, this.#memoize());
  }

  /** @param {number} value */
  integer(value) {
    if (value >= 0 && value < 2 ** 8) {
      this.#byte(0x4b);
      this.#byte(value);
    } else if (value >= 0 && value < 2 ** 16) {
      this.#byte(0x4d);
      this.#byte(value);
      this.#byte(value >>> 8);
    } else if (value >= -(2 ** 31) && value < 2 ** 31) {
      this.#byte(0x4a);
      this.#uint32(value >>> 0);
    } else {
      this.#byte(0x8a);
      const count = Math.ceil((Math.log2(value) + 1.001) / 8);
      this.#byte(count);
      for (let i = 0, rest = value; i < count; i++, rest = Math.floor(rest / 256)) this.#byte(rest % 256);
    }
  }

  /** @param {number} memo */
  get(memo) {
    this.#numbered(memo, 0x68, 0x6a);
  }

  /** Yields what is written, once that is a block. */
  *full() {
    if (this.#at >= BLOCK_BYTES) yield this.#take();
  }

  /** Ends the pickle, and returns the last bytes. */
  end() {
    this.#byte(0x2e);
    return this.#take();
  }

  #take() {
    let start = FRAME_BYTES;
    if (this.#protocol >= 4) {
      start = 0;
      this.#bytes[0] = 0x95;
      this.#view.setBigUint64(1, BigInt(this.#at - FRAME_BYTES), true);
    }
    const head = this.#isFirst ? [0x80, this.#protocol] : [];
    const bytes = new Uint8Array(head.length + this.#at - start);
    bytes.set(head);
    bytes.set(this.#bytes.subarray(start, this.#at), head.length);
    this.#isFirst = false;
    this.#at = FRAME_BYTES;
    return bytes;
  }

  #memoize() {
    if (this.#protocol >= 4) this.#byte(0x94);
    else this.#numbered(this.#memo, 0x71, 0x72);
    return this.#memo++;
  }

  /**
   * @param {number} number
   * @param {number} short the opcode if it fits in a byte
   * @param {number} long
   */
  #numbered(number, short, long) {
    this.#byte(number < 256 ? short : long);
    if (number < 256) this.#byte(number);
    else this.#uint32(number);
  }

  /** @param {number} value */
  #byte(value) {
    if (this.#at === this.#bytes.length) {
      const longer = new Uint8Array(2 * this.#at);
      longer.set(this.#bytes);
      this.#bytes = longer;
      this.#view = new DataView(longer.buffer);
    }
    this.#bytes[this.#at++] = value;
  }

  /** @param {number} value */
  #uint32(value) {
    for (let shift = 0; shift < 32; shift += 8) this.#byte(value >>> shift);
  }
}
