// What an entry of the package does with its engine: make it once, when it is first wanted, and bind the classes to it.

import type { Instance } from "./core.ts";
import type { Engine } from "./engine.ts";
import { Regions } from "./regions.ts";

/** Pages of memory, of 64 KiB, that an engine begins with. */
export const FIRST_PAGES = 1;

/** Gives the same instance at every call, made by the first. */
export function once(create: () => Engine): () => Instance {
  let instance: Instance | undefined;
  return () => {
    if (!instance) {
      const engine = create();
      instance = { engine, regions: new Regions(engine) };
    }
    return instance;
  };
}
