// The account of a simulation, by the plainest means: after each change it looks at every page.

/** A change, at a time in ns. Pages are numbers. */
export type Change =
  | {
      readonly kind: "grow" | "free" | "release";
      readonly time: number;
      readonly page: number;
      readonly npages: number;
    }
  | { readonly kind: "alloc"; readonly time: number; readonly page: number; readonly npages: number };

interface Page {
  inUse: boolean;
  isTouched: boolean;
  everTouched: boolean;
  releasedAt: number;
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

/** What `simulate` reports of such changes, from the first time to the last. */
export function naiveAccount(
  changes: readonly Change[],
  first: number,
  last: number,
  sizes: { readonly pageSize: number; readonly physPageSize: number; readonly physHugePageSize: number },
) {
  const { pageSize, physPageSize, physHugePageSize } = sizes;
  const pages = new Map<number, Page>();
  /** State by state: how long it lasted, and what it was. */
  const spans: Array<{ ns: number; retained: number; whole: number; rssHuge: number; trapped: number[] }> =
    [];
  const trapSizes = [2 ** 14, 2 ** 16, 2 ** 21];
  let now = first;
  const report = {
    releasedBytes: 0,
    releaseCalls: 0,
    refaultedBytes: 0,
    firstFaults: 0,
    refaults: 0,
    hugePagesBroken: 0,
  };
  let delay = 0;
  /** The pages of each page of a system. */
  const groupsOf = (size: number) => {
    const groups = new Map<number, Page[]>();
    for (const [number, page] of pages) {
      const group = Math.floor((number * pageSize) / size);
      groups.set(group, [...(groups.get(group) ?? []), page]);
    }
    return [...groups.values()];
  };
  const isWhole = (group: readonly Page[]) =>
    group.length === physHugePageSize / pageSize &&
    group.every((page) => page.isTouched) &&
    group.some((page) => page.inUse);
  const whole = () => groupsOf(physHugePageSize).filter(isWhole).length;
  const look = (until: number) => {
    const touched = [...pages.values()].filter((page) => page.isTouched).length;
    const huge = groupsOf(physHugePageSize);
    spans.push({
      ns: until - now,
      retained: touched * pageSize,
      whole: whole(),
      rssHuge: huge.filter((group) => group.some((page) => page.isTouched)).length * physHugePageSize,
      trapped: trapSizes.map((size) =>
        size <= pageSize
          ? 0
          : sum(
              groupsOf(size)
                .filter((group) => group.some((page) => page.inUse))
                .map((group) => group.filter((page) => page.isTouched && !page.inUse).length * pageSize),
            ),
      ),
    });
    now = until;
  };
  const numbers = (change: Change) => Array.from({ length: change.npages }, (_, i) => change.page + i);
  for (const change of changes) {
    if (change.time > now) look(change.time);
    if (change.kind === "grow") {
      for (const number of numbers(change))
        pages.set(number, { inUse: false, isTouched: false, everTouched: false, releasedAt: Number.NaN });
      continue;
    }
    const changed = numbers(change).map((number) => pages.get(number) as Page);
    const physical = groupsOf(physPageSize);
    const residentBefore = physical.map((group) => group.some((page) => page.isTouched));
    const everBefore = physical.map((group) => group.some((page) => page.everTouched));
    const wholeBefore = whole();
    if (change.kind === "free") {
      for (const page of changed) page.inUse = false;
    } else if (change.kind === "release") {
      for (const page of changed) Object.assign(page, { isTouched: false, releasedAt: change.time });
      report.releaseCalls++;
      report.releasedBytes += change.npages * pageSize;
      report.hugePagesBroken += wholeBefore - whole();
    } else {
      for (const page of changed) {
        page.inUse = true;
        if (page.isTouched) continue;
        page.isTouched = true;
        if (!page.everTouched) {
          if (physPageSize <= pageSize) report.firstFaults += pageSize / physPageSize;
        } else {
          if (physPageSize <= pageSize) report.refaults += pageSize / physPageSize;
          report.refaultedBytes += pageSize;
          delay += change.time - page.releasedAt;
        }
        page.everTouched = true;
      }
      physical.forEach((group, i) => {
        if (physPageSize <= pageSize || residentBefore[i] || !group.some((page) => page.isTouched)) return;
        if (everBefore[i]) report.refaults++;
        else report.firstFaults++;
      });
    }
  }
  look(last);
  const ns = last - first;
  const mean = (of: (span: (typeof spans)[number]) => number) =>
    sum(spans.map((span) => span.ns * of(span))) / ns;
  const percentile = (share: number) => {
    const ordered = [...spans].sort((a, b) => a.retained - b.retained);
    let time = 0;
    const reached = ordered.find((span) => {
      time += span.ns;
      return span.ns > 0 && time >= share * ns;
    });
    return reached?.retained;
  };
  return {
    ...report,
    faults: report.firstFaults + report.refaults,
    refaultDelayMeanNs: delay / (report.refaultedBytes / pageSize),
    retainedMeanBytes: mean((span) => span.retained),
    retainedP50Bytes: percentile(0.5),
    retainedP99Bytes: percentile(0.99),
    retainedByteSeconds: sum(spans.map((span) => span.ns * span.retained)) / 1e9,
    hugePagesWholeMean: mean((span) => span.whole),
    rssHugeMeanBytes: mean((span) => span.rssHuge),
    trappedMeanBytes: Object.fromEntries(trapSizes.map((size, i) => [size, mean((span) => span.trapped[i])])),
  };
}
