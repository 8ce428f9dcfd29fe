/**
 * The figures of a report, each as data: a query, a plot, a table, and the sentence that its rows say.
 * A new one is an entry here and a case in figures_test.ts.
 * @module
 */
import { count, rate, ratio, time } from "../format.ts";
import * as charts from "./charts.ts";
import { distinct, kindColour, runLegend } from "./charts.ts";
import { laid, number, of, reasonLegend, share, some, text, total } from "./figure_rows.ts";
import type { Figure, Row } from "./model.ts";

/** Exits per KiB where every run's work is known, else exits. */
const unitOf = (rows: readonly Row[]) =>
  rows.every((row) => row.exits_per_kib !== null)
    ? { field: "exits_per_kib", name: "exits per KiB" }
    : { field: "exits", name: "exits" };

const orEmpty = (value: number) => value === 0 ? "" : rate(value);

const budget: Figure = {
  id: "budget",
  title: "What the work costs in exits",
  reading:
    "A bar per run: how many exits it takes to move one KiB of payload, laid end to end by what " +
    "the guest exits for: the device accessed, or the reason of exits that are no access. Shorter is " +
    "better. Where the work is not known, all exits are counted.",
  sql: `SELECT run, coalesce(device, reason) AS cause, sum(exits)::BIGINT AS exits,
  CASE WHEN bytes > 0 THEN sum(exits)::BIGINT * 1024 / bytes END AS exits_per_kib
FROM exits_at_work JOIN work USING (run)
GROUP BY run, coalesce(device, reason), bytes
ORDER BY run, exits DESC, cause`,
  columns: [
    { field: "run", head: "run" },
    { field: "cause", head: "exits for" },
    { field: "exits", head: "exits", show: count },
    { field: "exits_per_kib", head: "per KiB", show: orEmpty },
  ],
  absent: "none of these runs took an exit at work",
  finding(rows, { runs }) {
    const unit = unitOf(rows);
    return some(runs.map((run) => {
      const own = of(rows, "run", run);
      if (own.length === 0) return `${run} has no exit on record`;
      const sum = total(own, unit.field);
      const most = `${share(number(own[0], unit.field), sum)} of them for ${text(own[0], "cause")}`;
      return `${run} takes ${rate(sum)} ${unit.name}, ${most}`;
    }));
  },
  legend: (rows) => distinct(rows, "cause").map((name, i) => ({ name, colour: kindColour(i) })),
  spec(rows, room, { runs }) {
    const unit = unitOf(rows);
    const parts = laid(rows, (row) => text(row, "run"), unit.field)
      .map((row) => ({ bar: row.run, part: row.cause, from: row.from, to: row.to }));
    const totals = runs.map((run) => {
      const sum = total(of(rows, "run", run), unit.field);
      return { bar: run, total: sum, text: rate(sum) };
    });
    return charts.stacks(
      { rows: parts, totals, legend: this.legend(rows, { runs }), panel: null },
      room,
    );
  },
};

const regions: Figure = {
  id: "regions",
  title: "Run against run, by kind of work",
  reading:
    "A line per region between marks, a point per run: exits per KiB of payload moved there. " +
    "The factor at the right is how far the runs lie apart. The axis is logarithmic where they lie " +
    "far apart.",
  sql:
    `SELECT label, run, sum(exits)::BIGINT AS exits, bytes, sum(exits)::BIGINT * 1024 / bytes AS exits_per_kib
FROM exits_at_work
JOIN (SELECT run, label, sum(bytes)::UBIGINT AS bytes, min(begin_seq) AS first FROM region GROUP BY ALL)
  USING (run, label)
WHERE bytes > 0
GROUP BY label, run, bytes, first
ORDER BY first, label, run`,
  columns: [
    { field: "label", head: "region" },
    { field: "run", head: "run" },
    { field: "bytes", head: "payload bytes", show: count },
    { field: "exits", head: "exits", show: count },
    { field: "exits_per_kib", head: "per KiB", show: rate },
  ],
  absent: "the guest marked no region of work (two marks, “X begin” and “X end”)",
  finding(rows) {
    return some(
      spansOf(rows).map(({ label, least, most, best, worst, times }) =>
        times === null
          ? `${label} takes ${rate(least)} exits per KiB`
          : `${label} takes ${rate(least)} exits per KiB on ${best}, ${
            rate(most)
          } on ${worst} (${times})`
      ),
    );
  },
  legend: runLegend,
  spec(rows, room, context) {
    const spans = spansOf(rows).map(({ label, least, most, times }) => ({
      label,
      least,
      most,
      text: times ?? rate(least),
    }));
    const points = rows.map((row) => ({
      label: row.label,
      run: row.run,
      value: row.exits_per_kib,
    }));
    const axis = "exits per KiB";
    return charts.dots({ rows: points, spans, legend: runLegend(rows, context), axis }, room);
  },
};

/** Per region the least and the most exits per KiB; `times` is null with a single run. */
function spansOf(rows: readonly Row[]) {
  return distinct(rows, "label").map((label) => {
    const own = of(rows, "label", label)
      .sort((a, b) => number(a, "exits_per_kib") - number(b, "exits_per_kib"));
    const [least, most] = [number(own[0], "exits_per_kib"), number(own.at(-1), "exits_per_kib")];
    return {
      label,
      least,
      most,
      best: text(own[0], "run"),
      worst: text(own.at(-1), "run"),
      times: own.length > 1 ? ratio(most, least) : null,
    };
  });
}

/** Registers per run that are drawn; the table has them all. */
const REGISTERS = 8;

const registers: Figure = {
  id: "registers",
  title: "Which registers the guest exits for",
  reading:
    "A bar per device register and direction, in exits per KiB of payload while the work was " +
    `done; the ${REGISTERS} dearest of each run. A register that is touched for every byte stands at ` +
    "1,024 per KiB; one that is touched per request hardly shows.",
  sql:
    `SELECT run, device || '.' || coalesce(register, '(undeclared)') || ' ' || direction AS register,
  sum(exits)::BIGINT AS exits,
  CASE WHEN bytes > 0 THEN sum(exits)::BIGINT * 1024 / bytes END AS exits_per_kib
FROM exits_at_work e JOIN work USING (run)
WHERE device IS NOT NULL
GROUP BY run, device, e.register, direction, bytes
ORDER BY run, exits DESC, register`,
  columns: [
    { field: "run", head: "run" },
    { field: "register", head: "register" },
    { field: "exits", head: "exits", show: count },
    { field: "exits_per_kib", head: "per KiB", show: orEmpty },
  ],
  absent: "no device register was accessed at work",
  finding(rows, { runs }) {
    const unit = unitOf(rows);
    const said = runs.filter((run) => of(rows, "run", run).length > 0).map((run) => {
      const own = of(rows, "run", run);
      return `${run} exits most for ${text(own[0], "register")} (${
        rate(number(own[0], unit.field))
      } ${unit.name}, ${
        share(number(own[0], "exits"), total(own, "exits"))
      } of its register accesses)`;
    });
    return some(said);
  },
  legend: runLegend,
  spec(rows, room, context) {
    const unit = unitOf(rows);
    const shown = context.runs.flatMap((run) => of(rows, "run", run).slice(0, REGISTERS));
    const drawn = shown.map((row) => ({
      run: row.run,
      label: row.register,
      value: row[unit.field]!,
      text: rate(number(row, unit.field)),
    }));
    const legend = runLegend(rows, context);
    return charts.bars({ rows: drawn, colour: "run", legend, panel: "run" }, room);
  },
};

const overTime: Figure = {
  id: "time",
  title: "Exits over virtual time, by reason",
  reading:
    "A panel per run on one clock: virtual time, which is retired instructions and idle jumps, " +
    "not the host's. The height is how many exits fell into an interval, stacked by reason. All panels " +
    "share both axes.",
  sql: `WITH width AS (
  SELECT p * min(f) FILTER (f * p >= wanted) AS ns
  FROM (SELECT greatest(max(time_ns) / 60, 1) AS wanted, pow(10, floor(log10(wanted))) AS p FROM exit),
    (VALUES (1), (2), (5), (10)) factors(f)
  GROUP BY p
)
SELECT run, reason, floor(time_ns / ns)::BIGINT * ns::BIGINT AS begin_ns, ns::BIGINT AS width_ns,
  count(*) AS exits
FROM exit, width
GROUP BY ALL
ORDER BY run, begin_ns, reason`,
  columns: [
    { field: "run", head: "run" },
    { field: "begin_ns", head: "from", show: time },
    { field: "reason", head: "reason" },
    { field: "exits", head: "exits", show: count },
  ],
  absent: "none of these runs took an exit",
  finding(rows, { runs }) {
    const said = runs.filter((run) => of(rows, "run", run).length > 0).map((run) => {
      const own = of(rows, "run", run);
      const reasons = distinct(own, "reason").map((name) => ({
        name,
        exits: total(of(own, "reason", name), "exits"),
      })).sort((a, b) => b.exits - a.exits);
      const last = Math.max(...own.map((row) => number(row, "begin_ns") + number(row, "width_ns")));
      return `${run} took ${count(total(own, "exits"))} exits within ${time(last)}, ${
        share(reasons[0]!.exits, total(own, "exits"))
      } of them ${reasons[0]!.name}`;
    });
    return some(said);
  },
  legend: (rows) => reasonLegend(rows),
  spec(rows, room, { runs }) {
    const legend = reasonLegend(rows);
    const order = legend.map((item) => item.name);
    const sorted = runs.flatMap((run) =>
      of(rows, "run", run).sort((a, b) =>
        number(a, "begin_ns") - number(b, "begin_ns") ||
        order.indexOf(text(a, "reason")) - order.indexOf(text(b, "reason"))
      )
    );
    const drawn = laid(sorted, (row) => `${row.run} ${row.begin_ns}`, "exits").map((row) => ({
      panel: row.run,
      part: row.reason,
      from: number(row, "begin_ns") / 1e6,
      to: (number(row, "begin_ns") + number(row, "width_ns")) / 1e6,
      low: row.from,
      high: row.to,
    }));
    const yTitle = `exits in ${time(number(rows[0], "width_ns"))}`;
    return charts.intervals({ rows: drawn, legend, xTitle: "virtual time, ms", yTitle }, room);
  },
};

export const EXIT_FIGURES: readonly Figure[] = [budget, regions, registers, overTime];
