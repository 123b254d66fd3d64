// The scavenger of Go 1.14 (mgcscavenge.go), which is the heap's own: downward from scavAddr.

import { CHUNK_PAGES, HEADER_SCAV_END } from "../../engine/layout.ts";
import type { Core } from "../../heap/core.ts";
import { scavengeOne } from "../../heap/scavenger.ts";
import type { OnRelease, Scavenger } from "./scavenger.ts";

/** A scavenger that goes downward, and begins again at the top when marking has ended. */
export class Downward implements Scavenger {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  nextGen(): void {
    this.#core.locked(({ at, engine }) => engine.reset(at));
  }

  scavenge(nbytes: number, _force: boolean, onRelease: OnRelease | undefined): number {
    const core = this.#core;
    let released = 0;
    while (released < nbytes) {
      const maxPages = Math.min(CHUNK_PAGES, Math.ceil((nbytes - released) / core.pageSize));
      const bytes = scavengeOne(core, maxPages) * core.pageSize;
      if (bytes === 0) break;
      released += bytes;
      // A release leaves scavAddr just below itself.
      onRelease?.(core.getF64(HEADER_SCAV_END) * core.pageSize, bytes);
    }
    return released;
  }
}
