/**
 * The kinds of plot that figures use, as vega-lite specifications. Labels stand above their bars and
 * values at their ends, so that a plot reads the same at the width of a page and of a phone; legends
 * are HTML. Colours are variables of the style sheet.
 * @module
 */
import type { Context, LegendItem, Room, Row, Spec } from "./model.ts";

const RUN_COLOURS = 6;
const KIND_COLOURS = 8;
/** Dashes tell runs apart where colours cannot: on paper, and to the colour-blind. */
const DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [1, 3]];

export const runColour = (context: Context, run: unknown): string =>
  `run-${Math.max(0, context.runs.indexOf(String(run))) % RUN_COLOURS + 1}`;
export const kindColour = (position: number): string => `kind-${position % KIND_COLOURS + 1}`;

const css = (colour: string): string => `var(--${colour})`;

export const distinct = (rows: readonly Row[], field: string): string[] => [
  ...new Set(rows.map((row) => String(row[field]))),
];

/** Colours by run, for the runs that `rows` speak of. */
export function runLegend(rows: readonly Row[], context: Context): LegendItem[] {
  const present = new Set(distinct(rows, "run"));
  return context.runs.filter((run) => present.has(run))
    .map((name) => ({ name, colour: runColour(context, name) }));
}

/** A nominal colour without vega's own legend. */
const coloured = (field: string, legend: readonly LegendItem[]): Spec => ({
  field,
  type: "nominal",
  legend: null,
  scale: { domain: legend.map((l) => l.name), range: legend.map((l) => css(l.colour)) },
});

/** Panels below each other, each under the name that `field` gives it. */
const panels = (field: string, rows: readonly Row[]): Spec => ({
  row: { field, type: "nominal", title: null, sort: distinct(rows, field) },
});

/** Room right of a bar for its value. */
const VALUE_ROOM = 92;
const quantity = (field: string, width: number): Spec => ({
  field,
  type: "quantitative",
  axis: null,
  stack: null,
  scale: { domainMin: 0, nice: false, range: [0, width - VALUE_ROOM] },
});

/** A word above a bar, flush with its start. */
const above = (field: string, dy: number, style: string): Spec => ({
  mark: { type: "text", align: "left", baseline: "bottom", dy, style },
  encoding: { x: { value: 0 }, text: { field } },
});

/** Rows with `label`, `value`, `text` and what colours and panels go by. */
export interface Bars {
  readonly rows: readonly Row[];
  readonly colour: string;
  readonly legend: readonly LegendItem[];
  readonly panel: string;
}

/** A bar per row, its label above and its value at its end; a panel per `panel`. */
export function bars({ rows, colour, legend, panel }: Bars, { width }: Room): Spec {
  return {
    data: { values: rows },
    facet: panels(panel, rows),
    resolve: { scale: { y: "independent" } },
    spec: {
      width,
      height: { step: 34 },
      encoding: {
        y: { field: "label", type: "nominal", sort: null, axis: null },
      },
      layer: [
        {
          mark: { type: "bar", height: 11, yOffset: 7, cornerRadiusEnd: 2 },
          encoding: { x: quantity("value", width), color: coloured(colour, legend) },
        },
        above("label", 0, "label"),
        {
          mark: {
            type: "text",
            align: "left",
            baseline: "middle",
            dx: 6,
            yOffset: 7,
            style: "value",
          },
          encoding: { x: quantity("value", width), text: { field: "text" } },
        },
      ],
    },
  };
}

/** Rows with `bar`, `part`, `from`, `to`; and one with `bar`, `total`, `text` per bar. */
export interface Stacks {
  readonly rows: readonly Row[];
  readonly totals: readonly Row[];
  readonly legend: readonly LegendItem[];
  /** Field that panels go by; null for a single one. */
  readonly panel: string | null;
}

/** Bars of parts laid end to end, the bar's name above and its total at its end. */
export function stacks({ rows, totals, legend, panel }: Stacks, { width }: Room): Spec {
  const y = { field: "bar", type: "nominal", sort: distinct(totals, "bar"), axis: null };
  const all = [
    ...rows.map((row) => ({ ...row, total: null, text: null })),
    ...totals.map((row) => ({ ...row, part: null, from: null, to: null })),
  ];
  const end = quantity("total", width);
  const spec: Spec = {
    width,
    height: { step: 46 },
    encoding: { y },
    layer: [
      {
        transform: [{ filter: "datum.part !== null" }],
        mark: { type: "bar", height: 20, yOffset: 9, stroke: css("paper"), strokeWidth: 1 },
        encoding: {
          x: quantity("from", width),
          x2: { field: "to" },
          color: coloured("part", legend),
        },
      },
      {
        transform: [{ filter: "datum.text !== null" }],
        layer: [above("bar", -3, "label"), {
          mark: {
            type: "text",
            align: "left",
            baseline: "middle",
            dx: 6,
            yOffset: 9,
            style: "value",
          },
          encoding: { x: end, text: { field: "text" } },
        }],
      },
    ],
  };
  if (panel === null) return { data: { values: all }, ...spec };
  return { data: { values: all }, facet: panels(panel, totals), spec };
}

/** Rows with `label`, `run`, `value`; one with `label`, `least`, `most`, `text` per label. */
export interface Dots {
  readonly rows: readonly Row[];
  readonly spans: readonly Row[];
  readonly legend: readonly LegendItem[];
  readonly axis: string;
}

/** Axis and scale that hold `values`; a logarithmic one is ruled at powers of ten only. */
function reach(values: readonly number[], log: boolean, tickCount: number): Spec {
  if (!log) {
    return { axis: { grid: true, tickCount, format: ",~f" }, scale: { domainMin: 0, nice: true } };
  }
  const [first, last] = [
    Math.floor(Math.log10(Math.min(...values))),
    Math.ceil(Math.log10(Math.max(...values))),
  ];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  return {
    axis: { grid: true, values: ticks, format: ",~g" },
    scale: { type: "log", domain: [ticks[0], ticks.at(-1)] },
  };
}

/** Values so far apart that a linear axis would hide the small ones. */
const farApart = (values: readonly number[]): boolean =>
  Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;

/** A dot per run on a line per label, with the factor between the outermost at the line's end. */
export function dots({ rows, spans, legend, axis }: Dots, { width, narrow }: Room): Spec {
  const values = rows.map((row) => Number(row.value));
  const log = farApart(values);
  const x = (field: string): Spec => ({
    field,
    type: "quantitative",
    title: axis,
    ...reach(values, log, narrow ? 4 : 7),
  });
  const all = [
    ...rows.map((row) => ({ ...row, least: null, most: null, text: null })),
    ...spans.map((row) => ({ ...row, run: null, value: null })),
  ];
  return {
    data: { values: all },
    width,
    height: { step: 48 },
    encoding: {
      y: { field: "label", type: "nominal", sort: distinct(spans, "label"), axis: null },
    },
    layer: [
      {
        transform: [{ filter: "datum.text !== null" }],
        layer: [
          {
            mark: { type: "rule", yOffset: 10, stroke: css("faint"), strokeWidth: 3 },
            encoding: { x: x("least"), x2: { field: "most" } },
          },
          above("label", -1, "label"),
          {
            mark: { type: "text", align: "right", baseline: "bottom", dy: -1, style: "value" },
            encoding: { x: { value: width }, text: { field: "text" } },
          },
        ],
      },
      {
        transform: [{ filter: "datum.run !== null" }],
        mark: { type: "point", filled: true, size: 110, yOffset: 10, opacity: 1 },
        encoding: {
          x: x("value"),
          color: coloured("run", legend),
          shape: {
            field: "run",
            type: "nominal",
            legend: null,
            scale: {
              domain: legend.map((l) => l.name),
              range: ["circle", "diamond", "square", "triangle-up", "cross", "triangle-down"],
            },
          },
        },
      },
    ],
  };
}

/** Rows with `panel`, `from`, `to`, `part`, `low`, `high`: bars stacked in intervals of time. */
export interface Intervals {
  readonly rows: readonly Row[];
  readonly legend: readonly LegendItem[];
  readonly xTitle: string;
  readonly yTitle: string;
}

const timeAxis = (title: string, narrow: boolean): Spec => ({
  type: "quantitative",
  title,
  axis: { grid: false, tickCount: narrow ? 4 : 8 },
  scale: { nice: false, domainMin: 0 },
});
const countAxis = (title: string, whole = false): Spec => ({
  type: "quantitative",
  title,
  stack: null,
  axis: { grid: true, tickCount: 4, format: ",~f", ...(whole ? { tickMinStep: 1 } : {}) },
  scale: { domainMin: 0, nice: true },
});

export function intervals(
  { rows, legend, xTitle, yTitle }: Intervals,
  { width, narrow }: Room,
): Spec {
  return {
    data: { values: rows },
    facet: panels("panel", rows),
    spec: {
      width,
      height: narrow ? 110 : 140,
      // A stroke of the same colour closes the seams between neighbours.
      mark: { type: "rect", strokeWidth: 0.6 },
      encoding: {
        stroke: coloured("part", legend),
        x: { field: "from", ...timeAxis(xTitle, narrow) },
        x2: { field: "to" },
        y: { field: "low", ...countAxis(yTitle) },
        y2: { field: "high" },
        color: coloured("part", legend),
      },
    },
  };
}

/** Rows with `panel`, `run`, `from`, `mean`, `most`, the last of a panel where its time ends. */
export interface Levels {
  readonly rows: readonly Row[];
  readonly legend: readonly LegendItem[];
  readonly xTitle: string;
  readonly yTitle: string;
}

/** A mean as an area of steps, and the most above it as a line of steps; a panel per `panel`. */
export function levels({ rows, legend, xTitle, yTitle }: Levels, { width, narrow }: Room): Spec {
  const x = { field: "from", ...timeAxis(xTitle, narrow) };
  return {
    data: { values: rows },
    facet: panels("panel", rows),
    resolve: { scale: { y: "independent" } },
    spec: {
      width,
      height: narrow ? 80 : 100,
      encoding: { color: coloured("run", legend) },
      layer: [
        {
          mark: { type: "area", interpolate: "step-after", fillOpacity: 0.45, line: false },
          encoding: { x, y: { field: "mean", ...countAxis(yTitle, true) } },
        },
        {
          mark: { type: "line", interpolate: "step-after", strokeWidth: 1.5 },
          encoding: { x, y: { field: "most", ...countAxis(yTitle, true) } },
        },
      ],
    },
  };
}

/** Rows with `panel`, `run`, `x`, `y`. */
export interface Curves {
  readonly rows: readonly Row[];
  readonly legend: readonly LegendItem[];
  readonly xTitle: string;
  readonly yTitle: string;
}

/** A line of steps per run; a panel per `panel`. The x axis is logarithmic where values are far apart. */
export function curves({ rows, legend, xTitle, yTitle }: Curves, { width, narrow }: Room): Spec {
  const xs = rows.map((row) => Number(row.x));
  return {
    data: { values: rows },
    facet: panels("panel", rows),
    spec: {
      width,
      height: narrow ? 110 : 130,
      mark: { type: "line", interpolate: "step-after", strokeWidth: 2.5 },
      encoding: {
        x: {
          field: "x",
          type: "quantitative",
          title: xTitle,
          ...reach(xs, farApart(xs), narrow ? 4 : 8),
        },
        y: {
          field: "y",
          type: "quantitative",
          title: yTitle,
          axis: { grid: true, values: [0, 50, 90, 100] },
          scale: { domain: [0, 100] },
        },
        color: coloured("run", legend),
        strokeDash: {
          field: "run",
          type: "nominal",
          legend: null,
          scale: { domain: legend.map((l) => l.name), range: DASHES.slice(0, legend.length) },
        },
      },
    },
  };
}
