// What an entry of the package does with its engine: make it once, when it is first wanted, and bind the classes to it.

import type { Engine } from "../engine/contract.ts";
import { FIRST_PAGES, Regions } from "./regions.ts";

/** An engine at work: with the regions of its memory. */
export interface Instance {
  readonly engine: Engine;
  readonly regions: Regions;
}

/** Gives the same instance at every call, made by the first. */
export function once(create: (pages: number) => Engine): () => Instance {
  let instance: Instance | undefined;
  return () => {
    if (!instance) {
      const engine = create(FIRST_PAGES);
      instance = { engine, regions: new Regions(engine) };
    }
    return instance;
  };
}
