// Where a search of the scavenger goes on, downward.

/** A page to search from; -1 if there is none. */
export class Cursor {
  page = -1;
  /** Whether it was raised since a search last moved it. Such a cursor is not cleared. */
  isMarked = false;

  /** Raises it to a page. */
  raise(page: number): void {
    this.page = page;
    this.isMarked = true;
  }

  /** Moves it down to a page. A marked one may go up instead, as in Go: a search has begun above it. */
  moveTo(page: number): void {
    if (this.isMarked || page < this.page) this.page = page;
    this.isMarked = false;
  }

  /** There is nothing left below it, unless it is marked. */
  clear(): void {
    if (!this.isMarked) this.page = -1;
  }

  /** [page, marked] */
  get state(): [number, boolean] {
    return [this.page, this.isMarked];
  }
}
