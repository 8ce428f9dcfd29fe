/**
 * Figures that have a name: one number per run, over the rows of a view that pass a filter. Budgets and
 * comparisons of many runs ask for them.
 * @module
 */
import { textLiteral } from "./literal.ts";

export interface Metric {
  readonly doc: string;
  readonly unit: string;
  /** View, or views joined, that it is computed from. */
  readonly from: string;
  /** Aggregate over the rows of one run. */
  readonly value: string;
  /** Columns that `where` may name. */
  readonly keys: readonly string[];
}

const AT_WORK = ["label", "reason", "device", "register", "direction"];
const SERVED = ["device"];
const ASKED = ["device", "kind"];

const latency = (of: string, value: string): Metric => ({
  doc: `Latency of requests in virtual time: ${of}.`,
  unit: "ns",
  from: "request_latency",
  value,
  keys: ASKED,
});

export const METRICS: Readonly<Record<string, Metric>> = {
  exits: {
    doc: "Exits at work: between the marks that tell it, else over the whole run.",
    unit: "exits",
    from: "exits_at_work",
    value: "sum(exits)",
    keys: AT_WORK,
  },
  exits_per_kib: {
    doc: "Exits at work per 1024 payload bytes.",
    unit: "exits/KiB",
    from: "exits_at_work JOIN work USING (run)",
    value: "sum(exits) * 1024 / nullif(any_value(bytes), 0)",
    keys: AT_WORK,
  },
  exits_per_request: {
    doc: "Exits for a device's registers per request that it served.",
    unit: "exits/request",
    from: "exits_per_request",
    value: "sum(exits) / sum(requests)",
    keys: SERVED,
  },
  kicks_per_request: {
    doc: "Exits that started a request, per request.",
    unit: "kicks/request",
    from: "exits_per_request",
    value: "sum(kicks) / sum(requests)",
    keys: SERVED,
  },
  requests_per_interrupt: {
    doc: "Requests per interrupt that announced some.",
    unit: "requests/interrupt",
    from: "exits_per_request",
    value: "sum(requests) / nullif(sum(announcements), 0)",
    keys: SERVED,
  },
  chains_per_kick: {
    doc: "Chains that the device took per kick.",
    unit: "chains/kick",
    from: "vring_summary",
    value: "sum(pops) / nullif(sum(kicks), 0)",
    keys: ["device", "queue"],
  },
  latency_mean_ns: latency("the mean", "avg(latency_ns)"),
  latency_p50_ns: latency("half took at most this", "quantile_disc(latency_ns, 0.5)"),
  latency_p90_ns: latency("nine of ten took at most this", "quantile_disc(latency_ns, 0.9)"),
  latency_p99_ns: latency("99 of 100 took at most this", "quantile_disc(latency_ns, 0.99)"),
  latency_max_ns: latency("the longest", "max(latency_ns)"),
  interrupt_p99_ns: {
    doc: "From the rise of a line to the driver's completion: 99 of 100 took at most this.",
    unit: "ns",
    from: "interrupt_path",
    value: "quantile_disc(total_ns, 0.99)",
    keys: ["device", "line"],
  },
  cost_ns: {
    doc: "What all exits would cost under a cost profile: a model. Name the profile in where.",
    unit: "ns",
    from: "exit_cost",
    value: "sum(total_ns)",
    keys: ["profile", "reason", "handler"],
  },
  stage2_faults: {
    doc: "First touches of guest memory.",
    unit: "faults",
    from: "exits_by_reason",
    value: "coalesce(sum(exits) FILTER (reason = 'stage2_fault'), 0)",
    keys: ["handler"],
  },
  virtual_time_ns: {
    doc: "Virtual time of the last exit.",
    unit: "ns",
    from: "virtual_time",
    value: "max(last_ns)",
    keys: ["vcpu"],
  },
};

/** Values of columns that rows must have; null asks for none. */
export type Where = Readonly<Record<string, string | number | null>>;

/** The query of a metric: columns `run` and `value`. */
export function metricSql(name: string, where: Where = {}): string {
  const { from, value } = METRICS[name]!;
  const filters = Object.entries(where).map(([column, wanted]) =>
    `${column} IS NOT DISTINCT FROM ${literal(wanted)}`
  );
  const filter = filters.length === 0 ? "" : ` WHERE ${filters.join(" AND ")}`;
  return `SELECT run, ${value} AS value FROM ${from}${filter} GROUP BY run ORDER BY run`;
}

const literal = (value: string | number | null): string =>
  value === null ? "NULL" : typeof value === "number" ? `${value}` : textLiteral(value);
