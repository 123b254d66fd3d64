// An arena as plainly as it can be said: a list of blocks, and first fit by looking at every unit.

interface Block {
  offset: number;
  nbytes: number;
}

export class NaiveArena {
  readonly live: Block[] = [];
  readonly #unit: number;
  #size: number;

  constructor(size: number, unit: number) {
    this.#unit = unit;
    this.#size = Math.floor(size / unit) * unit;
  }

  /** Takes over that the memory has grown. */
  grow(size: number): void {
    this.#size = Math.floor(size / this.#unit) * this.#unit;
  }

  usable(nbytes: number): number {
    return Math.ceil(nbytes / this.#unit) * this.#unit;
  }

  /** Whether [offset, offset + nbytes) is within the memory and free. */
  isFree(offset: number, nbytes: number): boolean {
    const end = offset + nbytes;
    return (
      end <= this.#size &&
      this.live.every((each) => end <= each.offset || each.offset + this.usable(each.nbytes) <= offset)
    );
  }

  alloc(nbytes: number, align = this.#unit): number {
    const step = Math.max(align, this.#unit);
    for (let offset = 0; offset < this.#size; offset += step) {
      if (!this.isFree(offset, this.usable(nbytes))) continue;
      this.live.push({ offset, nbytes });
      this.live.sort((a, b) => a.offset - b.offset);
      return offset;
    }
    return -1;
  }

  free(offset: number): void {
    this.live.splice(
      this.live.findIndex((each) => each.offset === offset),
      1,
    );
  }

  realloc(offset: number, nbytes: number, align = this.#unit): number {
    const block = this.live.find((each) => each.offset === offset) as Block;
    const end = offset + this.usable(block.nbytes);
    const more = this.usable(nbytes) - this.usable(block.nbytes);
    if (offset % align === 0 && (more <= 0 || this.isFree(end, more))) {
      block.nbytes = nbytes;
      return offset;
    }
    const moved = this.alloc(nbytes, align);
    if (moved >= 0) this.free(offset);
    return moved;
  }
}
