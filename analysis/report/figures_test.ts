/** Each figure: rows in, rows and numbers of its plot out. @module */
import assert from "node:assert/strict";
import { type Engine, openEngine } from "../engine.ts";
import { load } from "../load.ts";
import { distinct } from "./charts.ts";
import { FIGURES } from "./collect.ts";
import { fillFigure } from "./collect.ts";
import type { Cell, FilledFigure, Room } from "./model.ts";
import { drawPlots } from "./plots.ts";
import { RUNS, testTraces } from "./test_traces.ts";
import { figureGrid } from "./text.ts";

interface Case {
  /** Rows of the query by its columns; those that the table shows, where `tabled` leaves some out. */
  readonly rows: readonly (readonly Cell[])[];
  readonly finding: string;
  /** Texts that the plot shows. */
  readonly shows: readonly string[];
  /** Marks of data that it draws: bars, points, lines. */
  readonly marks: number;
}

/** What the two runs of test_traces.ts must give. */
const CASES: Readonly<Record<string, Case>> = {
  budget: {
    rows: [
      ["full", "uart0", 3, 3],
      ["full", "external_interrupt", 1, 1],
      ["full", "plic", 1, 1],
      ["para", "disk", 1, 1],
      ["para", "wfi", 1, 1],
    ],
    finding: "full takes 5.00 exits per KiB, 60.0 % of them for uart0; " +
      "para takes 2.00 exits per KiB, 50.0 % of them for disk.",
    shows: ["full", "5.00", "para", "2.00"],
    marks: 5,
  },
  regions: {
    rows: [["w", "full", 5, 1024, 5], ["w", "para", 2, 1024, 2]],
    finding: "w takes 2.00 exits per KiB on para, 5.00 on full (2.5 ×).",
    shows: ["w", "2.5 ×", "exits per KiB"],
    marks: 2,
  },
  registers: {
    rows: [
      ["full", "uart0.THR write", 3, 3],
      ["full", "plic.claim read", 1, 1],
      ["para", "disk.QueueNotify write", 1, 1],
    ],
    finding:
      "full exits most for uart0.THR write (3.00 exits per KiB, 75.0 % of its register accesses); " +
      "para exits most for disk.QueueNotify write (1.00 exits per KiB, 100 % of its register accesses).",
    shows: ["uart0.THR write", "3.00", "plic.claim read", "disk.QueueNotify write", "1.00"],
    marks: 3,
  },
  time: {
    rows: [
      ["full", "mmio", 1000, 200, 2],
      ["full", "mmio", 5000, 200, 1],
      ["full", "external_interrupt", 6000, 200, 1],
      ["full", "mmio", 6000, 200, 1],
      ["para", "mmio", 2000, 200, 1],
      ["para", "wfi", 3000, 200, 1],
    ],
    finding: "full took 5 exits within 6.20 µs, 80.0 % of them mmio; " +
      "para took 2 exits within 3.20 µs, 50.0 % of them mmio.",
    shows: ["full", "para", "exits in 200 ns", "virtual time, ms"],
    marks: 6,
  },
  latency: {
    rows: [
      ["disk_write", "para", 0, 2000, 2],
      ["disk_write", "para", 50, 2000, 2],
      ["disk_write", "para", 90, 4000, 2],
      ["disk_write", "para", 99, 4000, 2],
      ["disk_write", "para", 100, 4000, 2],
    ],
    finding: "disk_write on para took 2.00 µs in the median and 4.00 µs at the 99th percentile.",
    shows: ["disk_write", "% of requests", "50", "90", "100"],
    marks: 1,
  },
  breakdown: {
    rows: [["para", "disk", "disk_write", 2, "serve", 2, 3000, 2000, 4000]],
    finding: "para: disk disk_write takes 3.00 µs in the mean, 100 % of it to serve.",
    shows: ["para: disk disk_write", "3.00 µs"],
    marks: 1,
  },
  occupancy: {
    rows: [
      ["para", "disk", 0, 2000, 50, 50, 2, 2],
      ["para", "disk", 0, 3950, 50, 50, 2, 2],
      ["para", "disk", 0, 4000, 50, 50, 1, 2],
      ["para", "disk", 0, 5950, 50, 50, 1, 1],
      ["para", "disk", 0, 6000, 50, 0, 0, 1],
    ],
    finding: "para: disk queue 0 held 1.50 chains in the mean while in use and at most 2.",
    shows: ["para: disk queue 0", "chains", "2"],
    marks: 2,
  },
  batches: {
    rows: [["para", "disk", 0, 2, 2, 1, 2]],
    finding: "para: disk queue 0 took 2.00 chains per notification in the mean.",
    shows: ["para: disk queue 0", "2 chains", "1"],
    marks: 1,
  },
  interrupts: {
    rows: [["full", "uart0", "acknowledged", 1], ["full", "uart0", "raised", 1]],
    finding: "full claimed 1 of uart0.",
    shows: ["uart0 raised", "uart0 acknowledged", "1"],
    marks: 2,
  },
  internals: {
    rows: [
      ["w", "para", "disk", "exits", 2, 0.5],
      ["w", "para", "disk", "descriptors", 2, 1.5],
      ["w", "para", "disk", "DMA", 2, 0.5],
    ],
    finding: "Exits and steps inside, per request: w takes 0.50 and 2.00 on para.",
    shows: ["w", "para: disk", "0.50 + 2.00"],
    marks: 3,
  },
  cost: {
    rows: [
      ["p", "full", "external_interrupt", "kernel", 1, 1000, 1000, false, "made up"],
      ["p", "full", "mmio", "user", 4, 1000, 4000, false, "made up"],
      ["p", "para", "mmio", "user", 1, 1000, 1000, false, "made up"],
      ["p", "para", "wfi", "kernel", 1, 500, 500, false, "made up too"],
    ],
    finding: "Modelled, full against para: p 5.00 µs against 1.50 µs. " +
      "All of these prices are converted or assumed; none was measured here.",
    shows: ["p", "full", "5.00 µs", "para", "1.50 µs"],
    marks: 4,
  },
};

const CONTEXT = { runs: RUNS };
const ROOMS: readonly Room[] = [{ width: 820, narrow: false }, { width: 316, narrow: true }];

async function fill(engine: Engine): Promise<FilledFigure[]> {
  await engine.reset();
  await load(engine, testTraces());
  const filled = [];
  for (const figure of FIGURES) filled.push((await fillFigure(engine, figure, CONTEXT))!);
  return filled;
}

const engine = await openEngine();
const FILLED = await fill(engine);
globalThis.addEventListener("unload", () => engine.close());

Deno.test("figures: each has a case, and each case a figure", () => {
  assert.deepEqual(FIGURES.map(({ id }) => id).sort(), Object.keys(CASES).sort());
});

/** Rows of a case: where the query gives very many, those that its case names by their first cells. */
function compared(filled: FilledFigure, { rows }: Case): Cell[][] {
  const shown = (filled.figure.tabled?.(filled.rows) ?? filled.rows).map((row) =>
    Object.values(row)
  );
  if (filled.figure.id !== "occupancy") return shown;
  const begins = new Set(rows.map((row) => row[3]));
  return shown.filter((row) => begins.has(row[3]!));
}

for (const filled of FILLED) {
  const { figure, rows, finding } = filled;
  const expected = CASES[figure.id]!;
  Deno.test(`figure ${figure.id}: rows in, rows out`, () => {
    assert.deepEqual(compared(filled, expected), expected.rows);
    assert.equal(finding, expected.finding);
  });

  Deno.test(`figure ${figure.id}: is documented, its table and legend speak of its rows`, () => {
    assert.match(figure.reading, /^[A-Z].*\.$/);
    assert.match(figure.sql, /ORDER BY/, "the same rows in the same order");
    assert.match(figure.absent, /^[a-z].*[^.]$/, "completes a sentence");
    for (const { field } of figure.columns) assert.ok(field in rows[0]!, field);
    const grid = figureGrid(filled);
    assert.ok(grid.rows.length > 0 && grid.rows.every((row) => row.length === grid.head.length));
    const cells = new Set(rows.flatMap((row) => Object.values(row).map(String)));
    for (const { name } of figure.legend(rows, CONTEXT)) assert.ok(cells.has(name), name);
  });
}

Deno.test("figures: a trace without events leaves every figure out", async () => {
  await engine.reset();
  const { traceOf } = await import("../testing.ts");
  await load(engine, [traceOf({}, "empty")]);
  for (const figure of FIGURES) {
    assert.equal(await fillFigure(engine, figure, { runs: ["empty"] }), null, figure.id);
  }
});

Deno.test("figures: plots show their numbers, and only colours of the style sheet", async () => {
  const plots = FILLED.flatMap(({ figure, rows }) =>
    ROOMS.map((room, i) => ({
      id: `${figure.id}-${i}`,
      title: figure.title,
      description: figure.reading,
      className: room.narrow ? "phone" : "page",
      spec: figure.spec(rows, room, CONTEXT),
    }))
  );
  const css = Deno.readTextFileSync(new URL("./report.css", import.meta.url));
  const drawn = await drawPlots(plots);
  assert.deepEqual(drawn, await drawPlots(plots), "the same specification, the same bytes");
  for (const [i, svg] of drawn.entries()) {
    const { figure } = FILLED[Math.floor(i / 2)]!;
    const { shows, marks } = CASES[figure.id]!;
    const texts = new Set([...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((m) => m[1]));
    for (const text of shows) assert.ok(texts.has(text), `${figure.id}: no text "${text}"`);
    const drawnMarks = [...svg.matchAll(/<path [^>]*(?:fill|stroke)="var\(--(?:run|kind)-\d\)"/g)];
    assert.equal(drawnMarks.length, marks, `${figure.id}: marks`);
    for (const [, paint] of svg.matchAll(/(?:fill|stroke)="([^"]*)"/g)) {
      assert.match(paint!, /^(none|transparent|var\(--[\w-]+\))$/, figure.id);
    }
    for (
      const name of distinct([...svg.matchAll(/var\((--[\w-]+)\)/g)].map(([, v]) => ({ v })), "v")
    ) {
      assert.ok(css.includes(`${name}:`), `${name} is no colour of report.css`);
    }
  }
});
