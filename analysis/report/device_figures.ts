/**
 * The figures on requests, virtqueues, interrupts and costs.
 * @module
 */
import { count, rate, time } from "../format.ts";
import * as charts from "./charts.ts";
import { distinct, kindColour, runLegend } from "./charts.ts";
import { laid, number, of, reasonLegend, share, some, text, total } from "./figure_rows.ts";
import type { Context, Figure, Row } from "./model.ts";

/** Percentiles that the table shows. */
const TABLED = [0, 50, 90, 99, 100];

const latency: Figure = {
  id: "latency",
  title: "How long requests take, in virtual time",
  reading:
    "A panel per kind of request, a line per run: the share of requests (upwards) that were " +
    "complete after so long (to the right). A steep line means that all took alike; the higher the " +
    "line runs on, the longer the slow ones wait. A device's latency is what its machine was given.",
  sql: `WITH ranked AS (
  SELECT run, kind, latency_ns, count(*) OVER (PARTITION BY run, kind) AS requests,
    row_number() OVER (PARTITION BY run, kind ORDER BY latency_ns) AS nth
  FROM request_latency
)
SELECT kind, run, percent, latency_ns, requests
FROM ranked
JOIN range(0, 101) p(percent) ON nth = greatest(1, ceil(requests * percent / 100))
ORDER BY kind, run, percent`,
  columns: [
    { field: "kind", head: "request" },
    { field: "run", head: "run" },
    { field: "requests", head: "requests", show: count },
    { field: "percent", head: "percentile", show: String },
    { field: "latency_ns", head: "latency", show: time },
  ],
  absent: "no device served requests",
  tabled: (rows) => rows.filter((row) => TABLED.includes(number(row, "percent"))),
  finding(rows) {
    const at = (own: readonly Row[], percent: number) =>
      time(number(own.find((row) => row.percent === percent), "latency_ns"));
    const said = distinct(rows, "kind").flatMap((kind) =>
      distinct(of(rows, "kind", kind), "run").map((run) => {
        const own = of(of(rows, "kind", kind), "run", run);
        return `${kind} on ${run} took ${at(own, 50)} in the median and ${
          at(own, 99)
        } at the 99th percentile`;
      })
    );
    return some(said);
  },
  legend: runLegend,
  spec(rows, room, context) {
    const drawn = rows.map((row) => ({
      panel: row.kind,
      run: row.run,
      x: number(row, "latency_ns") / 1e3,
      y: row.percent!,
    }));
    const titles = { xTitle: "virtual µs from submission to completion", yTitle: "% of requests" };
    return charts.curves({ rows: drawn, legend: runLegend(rows, context), ...titles }, room);
  },
};

/** Steps of a request's way, in order, each with its colour and what it is. */
const STAGES = ["wait", "serve", "signal", "notice", "handle"];

const breakdown: Figure = {
  id: "breakdown",
  title: "Where the time of a request goes",
  reading:
    "A bar per run, device and kind of request: the mean virtual time of its steps, laid end to " +
    "end. wait: from the kick until the device takes the request up; serve: until it is done; signal: " +
    "until the interrupt; notice: until the driver claims it; handle: until the driver is through. Only " +
    "requests that took a step count for it.",
  sql: `SELECT run, device, kind, nth, step, requests, mean_ns, p50_ns, p99_ns
FROM request_breakdown
WHERE mean_ns > 0
ORDER BY run, device, kind, nth`,
  columns: [
    { field: "run", head: "run" },
    { field: "device", head: "device" },
    { field: "kind", head: "request" },
    { field: "step", head: "step" },
    { field: "requests", head: "requests", show: count },
    { field: "mean_ns", head: "mean", show: time },
    { field: "p50_ns", head: "median", show: time },
    { field: "p99_ns", head: "99th percentile", show: time },
  ],
  absent: "no request took time",
  finding(rows) {
    return some([...Map.groupBy(rows, requestName)].map(([name, own]) => {
      const longest = own.toSorted((a, b) => number(b, "mean_ns") - number(a, "mean_ns"))[0];
      return `${name} takes ${time(total(own, "mean_ns"))} in the mean, ${
        share(number(longest, "mean_ns"), total(own, "mean_ns"))
      } of it to ${text(longest, "step")}`;
    }));
  },
  legend: (rows) => {
    const present = new Set(distinct(rows, "step"));
    return STAGES.filter((step) => present.has(step))
      .map((name) => ({ name, colour: kindColour(STAGES.indexOf(name)) }));
  },
  spec(rows, room, context) {
    const named = rows.map((row) => ({ ...row, bar: requestName(row) }));
    const parts = laid(named, (row) => text(row, "bar"), "mean_ns").map((row) => ({
      bar: row.bar!,
      part: row.step!,
      from: row.from!,
      to: row.to!,
    }));
    const totals = distinct(named, "bar").map((bar) => {
      const ns = total(of(named, "bar", bar), "mean_ns");
      return { bar, total: ns, text: time(ns) };
    });
    const legend = this.legend(rows, context);
    return charts.stacks({ rows: parts, totals, legend, panel: null }, room);
  },
};

const requestName = (row: Row): string => `${row.run}: ${row.device} ${row.kind}`;

const queueName = (row: Row): string => `${row.run}: ${row.device} queue ${row.queue}`;

const occupancy: Figure = {
  id: "occupancy",
  title: "How full the virtqueues are",
  reading:
    "A panel per queue over virtual time: chains that the device has taken and not yet returned. " +
    "The area is the mean over an interval, the line the most at any moment of it. A queue that never " +
    "holds more than one chain gives the device nothing to overlap.",
  sql: `WITH stay AS (
  SELECT run, device, queue, in_flight AS held, time_ns::BIGINT AS since_ns,
    coalesce(lead(time_ns) OVER (PARTITION BY run, device, queue ORDER BY seq), time_ns)::BIGINT
      AS until_ns
  FROM vring_depth
),
width AS (SELECT greatest(ceil(max(until_ns) / 120), 1)::BIGINT AS ns FROM stay),
piece AS (
  SELECT *, greatest(0, least(until_ns, (nth + 1) * ns) - greatest(since_ns, nth * ns)) AS lasted
  FROM (SELECT *, unnest(range(since_ns // ns, until_ns // ns + 1)) AS nth FROM stay, width)
)
SELECT run, device, queue, nth * ns AS begin_ns, ns AS width_ns, sum(lasted)::BIGINT AS known_ns,
  coalesce(sum(held * lasted)::DOUBLE / nullif(sum(lasted), 0), 0) AS mean_held,
  max(held)::BIGINT AS most_held
FROM piece
GROUP BY run, device, queue, nth, ns
ORDER BY run, device, queue, nth`,
  columns: [
    { field: "run", head: "run" },
    { field: "device", head: "device" },
    { field: "queue", head: "queue", show: String },
    { field: "begin_ns", head: "from", show: time },
    { field: "mean_held", head: "mean chains", show: rate },
    { field: "most_held", head: "most", show: count },
  ],
  absent: "no virtqueue was used",
  finding(rows) {
    const said = [...Map.groupBy(rows, queueName)].map(([name, own]) => {
      const held = own.reduce(
        (n, row) => n + number(row, "mean_held") * number(row, "known_ns"),
        0,
      );
      const mean = held / Math.max(1, total(own, "known_ns"));
      const most = Math.max(...own.map((row) => number(row, "most_held")));
      return `${name} held ${rate(mean)} chains in the mean while in use and at most ${
        count(most)
      }`;
    });
    return some(said);
  },
  legend: runLegend,
  spec(rows, room, context) {
    const point = (row: Row, ns: number): Row => ({
      panel: queueName(row),
      run: row.run!,
      from: ns / 1e6,
      mean: row.mean_held!,
      most: row.most_held!,
    });
    const drawn = [...Map.groupBy(rows, queueName).values()].flatMap((own) => {
      const last = own.at(-1)!;
      return [
        ...own.map((row) => point(row, number(row, "begin_ns"))),
        point(last, number(last, "begin_ns") + number(last, "width_ns")),
      ];
    });
    const titles = { xTitle: "virtual time, ms", yTitle: "chains" };
    return charts.levels({ rows: drawn, legend: runLegend(rows, context), ...titles }, room);
  },
};

const span = (row: Row): string =>
  row.least === row.most ? String(row.least) : `${row.least} to ${row.most}`;

const batches: Figure = {
  id: "batches",
  title: "How much one notification hands over",
  reading:
    "A bar per batch size: how many of the driver's notifications (QueueNotify writes, an exit " +
    "each) made the device take so many chains. Batches of one pay an exit for every request; a " +
    "notification that finds nothing (0) was in vain.",
  sql: `SELECT run, device, queue,
  if(chains < 4, chains, (1::BIGINT << floor(log2(chains))::BIGINT)) AS least,
  if(chains < 4, chains, (2::BIGINT << floor(log2(chains))::BIGINT) - 1) AS most,
  sum(kicks)::BIGINT AS kicks, sum(kicks * chains)::BIGINT AS chains
FROM batch_sizes
GROUP BY run, device, queue, least, most
ORDER BY run, device, queue, least`,
  columns: [
    { field: "run", head: "run" },
    { field: "device", head: "device" },
    { field: "queue", head: "queue", show: String },
    { field: "least", head: "chains from", show: count },
    { field: "most", head: "to", show: count },
    { field: "kicks", head: "notifications", show: count },
  ],
  absent: "no virtqueue was notified",
  finding(rows) {
    const said = [...Map.groupBy(rows, queueName)].map(([name, own]) =>
      `${name} took ${
        rate(total(own, "chains") / total(own, "kicks"))
      } chains per notification in the mean`
    );
    return some(said);
  },
  legend: runLegend,
  spec(rows, room, context) {
    const drawn = rows.map((row) => ({
      run: row.run,
      panel: queueName(row),
      label: span(row) === "1" ? "1 chain" : `${span(row)} chains`,
      value: row.kicks!,
      text: count(number(row, "kicks")),
    }));
    const legend = runLegend(rows, context);
    return charts.bars({ rows: drawn, colour: "run", legend, panel: "panel" }, room);
  },
};

const STEPS = ["raised", "coalesced", "acknowledged", "messages"];

const interrupts: Figure = {
  id: "interrupts",
  title: "What becomes of interrupts",
  reading:
    "Bars per device: how often its line was raised, how many causes found it raised already " +
    "(coalesced), how often the driver claimed it at the controller (acknowledged), and messages sent in " +
    "place of a line. A line that stays up is raised once and claimed as often as the driver asks.",
  sql: `SELECT run, device, step, sum(times)::BIGINT AS times
FROM (
  UNPIVOT (SELECT run, device, raised, coalesced, acknowledged, messages FROM interrupts)
  ON raised, coalesced, acknowledged, messages INTO NAME step VALUE times
)
WHERE device IS NOT NULL AND times > 0
GROUP BY ALL
ORDER BY run, device, step`,
  columns: [
    { field: "run", head: "run" },
    { field: "device", head: "device" },
    { field: "step", head: "step" },
    { field: "times", head: "times", show: count },
  ],
  absent: "no device interrupted",
  finding(rows) {
    const claims = of(rows, "step", "acknowledged").map((row) =>
      `${row.run} claimed ${count(number(row, "times"))} of ${row.device}`
    );
    const sent = of(rows, "step", "messages").map((row) =>
      `${row.device} of ${row.run} sent ${count(number(row, "times"))} messages`
    );
    const said = [...claims, ...sent];
    return said.length === 0 ? "No interrupt reached a driver." : some(said);
  },
  legend: runLegend,
  spec(rows, room, context) {
    const drawn = context.runs.flatMap((run) =>
      of(rows, "run", run).sort((a, b) =>
        text(a, "device") < text(b, "device")
          ? -1
          : text(a, "device") > text(b, "device")
          ? 1
          : STEPS.indexOf(text(a, "step")) - STEPS.indexOf(text(b, "step"))
      )
    ).map((row) => ({
      run: row.run!,
      label: `${row.device} ${row.step}`,
      value: row.times!,
      text: count(number(row, "times")),
    }));
    const legend = runLegend(rows, context);
    return charts.bars({ rows: drawn, colour: "run", legend, panel: "run" }, room);
  },
};

/** What is counted of a request, in the order of the bars: the first is outside the device. */
const PARTS = ["exits", "instructions", "operands", "descriptors", "DMA"];

const inside = (rows: readonly Row[]): number =>
  total(rows.filter((row) => row.part !== "exits"), "each");
const outside = (rows: readonly Row[]): number => total(of(rows, "part", "exits"), "each");

const internals: Figure = {
  id: "internals",
  title: "Exits, and the work inside the device",
  reading:
    "A panel per region, a bar per run: what a request takes in the mean. exits: for the device's own " +
    "registers; the rest costs the guest no exit: instructions of the device's own processor and the " +
    "operands it fetches for them, descriptors read from a virtqueue, accesses to memory for payload and " +
    "framing (DMA). At a bar's end: exits + the rest. The parts are counts of unlike things: a long bar of " +
    "descriptors may cost a host less than one exit.",
  sql: `SELECT label, run, device, part, requests, sum(each * asked) / requests AS each
FROM (
  UNPIVOT (
    SELECT run, label, device, requests AS asked, exits, instructions, table_fetches AS operands,
      descriptors, dma AS "DMA",
      sum(requests) OVER (PARTITION BY run, label, device)::BIGINT AS requests
    FROM internals_by_region
  )
  ON exits, instructions, operands, descriptors, "DMA" INTO NAME part VALUE each
)
JOIN (SELECT label, min(begin_seq) AS first FROM region GROUP BY label) USING (label)
GROUP BY label, run, device, part, requests, first
HAVING sum(each) > 0
ORDER BY first, label, run, device, list_position(['${PARTS.join("', '")}'], part)`,
  columns: [
    { field: "label", head: "region" },
    { field: "run", head: "run" },
    { field: "device", head: "device" },
    { field: "requests", head: "requests", show: count },
    { field: "part", head: "what" },
    { field: "each", head: "per request", show: rate },
  ],
  absent: "no device completed requests in a region that the guest marked",
  finding(rows, { runs }) {
    const said = distinct(rows, "label").map((label) => {
      const sides = runs.flatMap((run) => {
        const own = of(of(rows, "label", label), "run", run);
        return own.length === 0 ? [] : [`${rate(outside(own))} and ${rate(inside(own))} on ${run}`];
      });
      return `${label} takes ${sides.join(", ")}`;
    });
    return `Exits and steps inside, per request: ${some(said)}`;
  },
  legend: (rows) => {
    const present = new Set(distinct(rows, "part"));
    return PARTS.filter((part) => present.has(part))
      .map((name) => ({ name, colour: kindColour(PARTS.indexOf(name)) }));
  },
  spec(rows, room, context) {
    const named = distinct(rows, "label")
      .flatMap((label) => context.runs.flatMap((run) => of(of(rows, "label", label), "run", run)))
      .map((row): Row => ({ ...row, bar: `${row.run}: ${row.device}` }));
    const parts = laid(named, (row) => `${row.label} ${row.bar}`, "each").map((row) => ({
      panel: row.label!,
      bar: row.bar!,
      part: row.part!,
      from: row.from!,
      to: row.to!,
    }));
    const bars = Map.groupBy(named, (row) => `${row.label} ${row.bar}`);
    const totals = [...bars.values()].map((own) => ({
      panel: own[0].label!,
      bar: own[0].bar!,
      total: total(own, "each"),
      text: `${rate(outside(own))} + ${rate(inside(own))}`,
    }));
    const legend = this.legend(rows, context);
    return charts.stacks({ rows: parts, totals, legend, panel: "panel" }, room);
  },
};

const sumOf = (rows: readonly Row[], profile: string, run: string): number =>
  total(of(of(rows, "profile", profile), "run", run), "total_ns");

const cost: Figure = {
  id: "cost",
  title: "What the exits would cost on hardware (modelled)",
  reading:
    "A panel per cost profile, a bar per run: all exits of the run at the profile's price for " +
    "their reason and handler, in milliseconds of a host's time. A model, not a measurement: the sources " +
    "of the prices stand in the table, and counts never depend on them.",
  sql:
    `SELECT profile, run, reason, handler, exits, each_ns, total_ns::BIGINT AS total_ns, measured, source
FROM exit_cost
WHERE total_ns > 0
ORDER BY profile, run, reason, handler`,
  columns: [
    { field: "profile", head: "profile" },
    { field: "run", head: "run" },
    { field: "reason", head: "reason" },
    { field: "handler", head: "handler" },
    { field: "exits", head: "exits", show: count },
    { field: "each_ns", head: "each", show: time },
    { field: "total_ns", head: "together", show: time },
    { field: "source", head: "source of the price" },
  ],
  absent: "the traces price no exit",
  finding(rows, { runs }) {
    const assumed = rows.every((row) => row.measured === false);
    const said = distinct(rows, "profile").map((profile) =>
      `${profile} ${runs.map((run) => time(sumOf(rows, profile, run))).join(" against ")}`
    );
    return `Modelled${runs.length > 1 ? `, ${runs.join(" against ")}` : ""}: ${some(said)}${
      assumed ? " All of these prices are converted or assumed; none was measured here." : ""
    }`;
  },
  legend: (rows) => reasonLegend(rows),
  spec(rows, room, { runs }: Context) {
    const profiles = distinct(rows, "profile");
    const order = reasonLegend(rows).map((item) => item.name);
    const sorted = [...rows].sort((a, b) =>
      order.indexOf(text(a, "reason")) - order.indexOf(text(b, "reason"))
    );
    const parts = laid(sorted, (row) => `${row.profile} ${row.run}`, "total_ns").map((row) => ({
      profile: row.profile,
      bar: row.run,
      part: row.reason,
      from: number(row, "from") / 1e6,
      to: number(row, "to") / 1e6,
    }));
    const totals = profiles.flatMap((profile) =>
      runs.map((run) => {
        const ns = sumOf(rows, profile, run);
        return { profile, bar: run, total: ns / 1e6, text: time(ns) };
      })
    );
    const legend = reasonLegend(rows);
    return charts.stacks({ rows: parts, totals, legend, panel: "profile" }, room);
  },
};

export const DEVICE_FIGURES: readonly Figure[] = [
  latency,
  breakdown,
  occupancy,
  batches,
  interrupts,
  internals,
  cost,
];
