// Draws a replay: the memory in use, free and released over time. The picture has a background of its own, so that it
// can be read on a page of any colour.

const WIDTH = 760;
const HEIGHT = 300;
/** The plot within the picture. */
const LEFT = 72;
const RIGHT = 744;
const TOP = 44;
const BOTTOM = 268;
const MIB = 2 ** 20;
const Y_STEP_MIB = 50;
/** The areas from top to bottom, and what they mean. The first lies behind the others. */
const LEGEND = [
  ["released", "released to the system"],
  ["free", "free, and still retained"],
  ["used", "in use"],
];

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #59636e }
.title { font-weight: 600; fill: #1f2328 }
.back { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0 }
.released { fill: #d1d9e0 }
.free { fill: #f5b95f }
.used { fill: #4184e4 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .title { fill: #f0f6fc }
  .back { fill: #0d1117; stroke: #3d444d }
  .grid { stroke: #3d444d }
  .released { fill: #3d444d }
  .free { fill: #bb8009 }
  .used { fill: #316dca }
}
`.trim();

const label = (x, y, text, rest = "") => `<text x="${x}" y="${y}"${rest}>${text}</text>`;

/** Returns the picture of a `replay` report, as an SVG. */
export function drawReplay({ events, series, peakInUseBytes }) {
  const { time, inUse, retained, sys } = series;
  const seconds = (time.at(-1) - time[0]) / 1e9;
  const mostMiB = Math.max(...sys) / MIB;
  const x = (t) => LEFT + ((t - time[0]) / 1e9 / seconds) * (RIGHT - LEFT);
  const y = (bytes) => BOTTOM - (bytes / MIB / mostMiB) * (BOTTOM - TOP);
  const point = (t, bytes) => `${x(t).toFixed(1)} ${y(bytes).toFixed(1)}`;
  const area = (name, bytes) => {
    const line = Array.from(time, (t, i) => point(t, bytes[i])).join("L");
    return `<path class="${name}" d="M${LEFT} ${BOTTOM}L${line}L${RIGHT} ${BOTTOM}z"/>`;
  };
  const count = events.toLocaleString("en");
  const peak = (peakInUseBytes / MIB).toFixed(1);
  const yMarks = Array.from({ length: Math.floor(mostMiB / Y_STEP_MIB) + 1 }, (_, i) => i * Y_STEP_MIB);
  const xMarks = Array.from({ length: Math.floor(seconds) + 1 }, (_, i) => i);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title desc">`,
    `<title id="title">The heap of a Go compile over time</title>`,
    `<desc id="desc">${count} page events in ${seconds.toFixed(1)} seconds, replayed by palloc. Three areas lie on ` +
      `top of each other: what is in use, at most ${peak} MiB; what is free and still retained, most after a ` +
      `garbage collection; and what is released to the system.</desc>`,
    `<style>\n${STYLE}\n</style>`,
    `<rect class="back" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="6"/>`,
    label(LEFT, 26, `The heap of a Go compile: ${count} page events, replayed`, ' class="title"'),
    ...yMarks.map((mib) => {
      const at = y(mib * MIB).toFixed(1);
      return (
        `<path class="grid" d="M${LEFT} ${at}H${RIGHT}"/>` +
        label(LEFT - 8, Number(at) + 4, mib === yMarks.at(-1) ? `${mib} MiB` : mib, ' text-anchor="end"')
      );
    }),
    area("released", sys),
    area("free", retained),
    area("used", inUse),
    ...LEGEND.map(
      ([name, meaning], i) =>
        `<rect class="${name}" x="${LEFT + 16}" y="${TOP + 12 + i * 20}" width="12" height="12" rx="2"/>` +
        label(LEFT + 36, TOP + 22 + i * 20, meaning),
    ),
    ...xMarks.map((s) =>
      label(x(time[0] + s * 1e9).toFixed(1), BOTTOM + 20, `${s} s`, ' text-anchor="middle"'),
    ),
    `</svg>`,
  ].join("\n")}\n`;
}
