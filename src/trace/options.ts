// Reads an object of options.

import { optionalObject } from "../args.ts";

/**
 * The options of an object that has no others than those allowed, each read once. What is undefined is as if left out.
 * Throws TypeError when it is no object, or has an option of another name: the message names the nearest that is
 * allowed.
 */
export function readOptions<T extends object, K extends keyof T & string>(
  name: string,
  value: T | undefined,
  allowed: readonly K[],
): Partial<Pick<T, K>> {
  const given = optionalObject(name, value);
  for (const key of Object.keys(given)) {
    if ((allowed as readonly string[]).includes(key)) continue;
    throw new TypeError(`${name}.${key} is unknown; did you mean ${nearest(key, allowed)}?`);
  }
  const options: Partial<Pick<T, K>> = {};
  for (const key of allowed) options[key] = given[key];
  return options;
}

/** The word that takes the fewest changes to become `word`, whatever the case of the letters. */
function nearest(word: string, among: readonly string[]): string {
  const steps = among.map((other) => changes(word.toLowerCase(), other.toLowerCase()));
  return among[steps.indexOf(Math.min(...steps))];
}

/** How many letters to add, drop or replace to make one word into the other. */
function changes(from: string, to: string): number {
  // For each start of `to`, the changes that make it out of as much of `from` as was looked at.
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replaced = row[j] + (from[i] === to[j] ? 0 : 1);
      next.push(Math.min(replaced, row[j + 1] + 1, next[j] + 1));
    }
    row = next;
  }
  return row[to.length];
}
