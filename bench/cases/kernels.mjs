// The kernels, each on every named input: with a call from JavaScript per chunk, with one call for many chunks, and in
// a loop inside the engine. Every kernel has a loop of its own. No engine could call kernels directly in a shared loop.

/** Words of a chunk in an input: first those of its alloc bitmap, then those of its scavenged bitmap. */
const WORDS_PER_CHUNK = 16;

/** Returns the chunks of an input as the column's PallocData. */
function chunksOf({ PallocData }, words) {
  return Array.from({ length: words.length / WORDS_PER_CHUNK }, (_, chunk) => {
    const data = new PallocData();
    const at = chunk * WORDS_PER_CHUNK;
    data.alloc.words.set(words.subarray(at, at + 8));
    data.scavenged.words.set(words.subarray(at + 8, at + 16));
    return data;
  });
}

function sumOf(numbers) {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return sum;
}

/** Returns a function that scans all chunks of an input, again and again, until it has done `operations`. */
function scans({ PallocChunks }, words, scan, parameters) {
  const chunks = new PallocChunks(words.length / WORDS_PER_CHUNK);
  chunks.words.set(words);
  return (operations) => {
    let sum = 0;
    for (let done = 0; done < operations; done += chunks.length) sum += scan(chunks, ...parameters);
    return sum;
  };
}

const KERNELS = [
  {
    name: "hasScavengeCandidate",
    parameter: "min",
    values: [1, 8, 64],
    loop: (subject, words, min) => {
      const chunks = chunksOf(subject, words);
      return (operations) => {
        let sum = 0;
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === chunks.length ? 0 : k + 1) {
          sum += chunks[k].hasScavengeCandidate(min) ? 1 : 0;
        }
        return sum;
      };
    },
    scan: (chunks, min) => sumOf(chunks.scan("hasScavengeCandidate", min)),
  },
  {
    name: "findScavengeCandidate",
    parameter: "min",
    values: [1, 8, 64],
    loop: (subject, words, min) => {
      const chunks = chunksOf(subject, words);
      return (operations) => {
        let sum = 0;
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === chunks.length ? 0 : k + 1) {
          const { start, npages } = chunks[k].findScavengeCandidate(511, min, 512);
          sum += npages === 0 ? 0 : start + npages;
        }
        return sum;
      };
    },
    scan: (chunks, min) => sumOf(chunks.scan("findScavengeCandidate", 511, min, 512)),
  },
  {
    name: "summarize",
    loop: (subject, words) => {
      const chunks = chunksOf(subject, words);
      return (operations) => {
        let sum = 0;
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === chunks.length ? 0 : k + 1) {
          const { start, max, end } = chunks[k].summarize();
          sum += start + max + end;
        }
        return sum;
      };
    },
    scan: (chunks) => sumOf(chunks.scan("summarize")),
  },
  {
    name: "find",
    parameter: "npages",
    values: [1, 16, 128],
    loop: (subject, words, npages) => {
      const chunks = chunksOf(subject, words);
      return (operations) => {
        let sum = 0;
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === chunks.length ? 0 : k + 1) {
          sum += chunks[k].find(npages, 0).index;
        }
        return sum;
      };
    },
    scan: (chunks, npages) => {
      const found = chunks.scan("find", npages, 0);
      let sum = 0;
      for (let i = 0; i < found.length; i += 2) sum += found[i];
      return sum;
    },
  },
  {
    name: "popcntRange",
    parameter: "n",
    values: [500],
    loop: (subject, words, n) => {
      const chunks = chunksOf(subject, words);
      return (operations) => {
        let sum = 0;
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === chunks.length ? 0 : k + 1) {
          sum += chunks[k].alloc.popcntRange(6, n);
        }
        return sum;
      };
    },
  },
  {
    name: "allocRange + freeRange",
    kernel: "allocFreeRange",
    parameter: "n",
    values: [100],
    loop: (subject, words, n) => {
      const chunks = chunksOf(subject, words);
      return (operations) => {
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === chunks.length ? 0 : k + 1) {
          chunks[k].allocRange(30, n);
          chunks[k].freeRange(30, n);
        }
        return operations;
      };
    },
  },
  {
    name: "fillAligned",
    parameter: "m",
    values: [1, 8, 64],
    loop: ({ fillAligned }, words, m) => {
      const list = [...words];
      return (operations) => {
        let sum = 0n;
        for (let i = 0, k = 0; i < operations; i++, k = k + 1 === list.length ? 0 : k + 1) {
          sum ^= fillAligned(list[k], m);
        }
        return Number(sum & 0xffffffffn);
      };
    },
  },
];

/** Returns the cases. `inputs` has the chunks of each input by its name. */
export function kernelCases(inputs) {
  const cases = [];
  for (const { name, kernel = name, parameter, values = [undefined], loop, scan } of KERNELS) {
    for (const value of values) {
      for (const [input, words] of Object.entries(inputs)) {
        const about = { name, input: value === undefined ? input : `${input}, ${parameter} ${value}` };
        const parameters = value === undefined ? [] : [value];
        const check = words.length / WORDS_PER_CHUNK;
        const native = { args: ["kernel", kernel, ...parameters, check], input: () => words };
        cases.push({
          ...about,
          group: "kernels, per call from JavaScript",
          columns: ["BigInt", "ts", "wasm"],
          create: (subject) => ({ run: loop(subject, words, ...parameters), check }),
        });
        if (scan) {
          cases.push({
            ...about,
            group: "kernels, many chunks in one call",
            columns: ["ts", "wasm"],
            create: (subject) => ({ run: scans(subject, words, scan, parameters), check }),
            native,
          });
        }
        cases.push({
          ...about,
          group: "kernels, inside the engine",
          columns: ["ts", "wasm"],
          create: ({ inside }) => ({ run: inside[kernel](words, ...parameters), check }),
          native,
        });
      }
    }
  }
  cases.push({
    name: "a call that does nothing",
    input: "",
    group: "the crossing",
    columns: ["ts", "wasm"],
    create: ({ inside }) => ({ run: inside.crossing() }),
  });
  return cases;
}
