// All environments, in the order of the table.
import bundlers from "./tried/bundlers.mjs";
import cloudflare from "./tried/cloudflare.mjs";
import next from "./tried/next.mjs";
import node from "./tried/node.mjs";
import pages from "./tried/pages.mjs";
import parcel from "./tried/parcel.mjs";
import runtimes from "./tried/runtimes.mjs";
import tests from "./tried/tests.mjs";
import types from "./tried/types.mjs";
import vite from "./tried/vite.mjs";

export const environments = [
  ...node,
  ...runtimes,
  ...types,
  ...vite,
  ...bundlers,
  ...parcel,
  ...next,
  ...cloudflare,
  ...tests,
  ...pages,
];
