/**
 * A report as Markdown, JSON and CSV: the same figures without their plots.
 * @module
 */
import { sumExits } from "../comparison.ts";
import { exitRate } from "../explain.ts";
import { count, rate, ratio } from "../format.ts";
import { type Grid, renderMarkdown } from "../output.ts";
import { verifyCommand } from "./escape.ts";
import type { Cell, Chapter, FilledFigure, Report } from "./model.ts";
import { oursText, sourceOf } from "./published.ts";

type Runs = Chapter["comparison"]["runs"];

/** Rates are per KiB where every run's work is known. */
export function unitOfWork(runs: Runs): { per: "KiB" | null } {
  return { per: runs.every((run) => run.bytes > 0) ? "KiB" : null };
}

/** A figure's table, as its columns say. */
export function figureGrid({ figure, rows }: FilledFigure): Grid {
  const shown = figure.tabled?.(rows) ?? rows;
  return {
    head: figure.columns.map((column) => column.head),
    right: figure.columns.map((column) => column.show !== undefined),
    rows: shown.map((row) =>
      figure.columns.map(({ field, show }) => {
        const value = row[field] ?? null;
        if (value === null) return "";
        return show === undefined ? String(value) : show(Number(value));
      })
    ),
  };
}

/** A row per chapter: the runs with the most and the fewest exits for their work. */
export function overviewOf({ chapters }: Report): Grid {
  return {
    head: ["question", "most exits", "fewest exits", "unit", "ratio"],
    right: [false, true, true, false, true],
    rows: chapters.map(({ question, comparison: { runs } }) => {
      const { per } = unitOfWork(runs);
      const valueOf = (run: Runs[number]) => per === null ? sumExits(run.kinds) : exitRate(run);
      const ranked = [...runs].sort((a, b) => valueOf(b) - valueOf(a));
      const [most, least] = [ranked[0]!, ranked.at(-1)!];
      const shown = (run: Runs[number]) =>
        `${run.run} ${per === null ? count(valueOf(run)) : rate(valueOf(run))}`;
      const one = ranked.length === 1;
      return [
        question,
        shown(most),
        one ? "—" : shown(least),
        per === null ? "exits" : "exits per KiB",
        one ? "—" : ratio(valueOf(most), valueOf(least)),
      ];
    }),
  };
}

export function renderReportMarkdown(report: Report): string {
  const several = report.chapters.length > 1;
  const parts = [`# ${report.title}\n`];
  if (several) parts.push(renderMarkdown(overviewOf(report)));
  for (const chapter of report.chapters) {
    if (several) parts.push(`## ${chapter.question}\n`);
    parts.push(`**${chapter.answer}**\n`);
    if (chapter.remark !== null) parts.push(`${chapter.remark}\n`);
    for (const filled of chapter.figures) parts.push(figureMarkdown(filled));
    for (const { title, why } of chapter.absent) parts.push(`Left out: “${title}” (${why}).\n`);
    parts.push(publishedMarkdown(chapter), setupMarkdown(chapter));
  }
  parts.push(`### Make this report again\n\n\`\`\`\n${report.command}\n\`\`\`\n`);
  return parts.join("\n");
}

/** Longer tables are for JSON and CSV. */
const TABLE_ROWS = 60;

function figureMarkdown(filled: FilledFigure): string {
  const { figure, finding } = filled;
  const grid = figureGrid(filled);
  const more = grid.rows.length - TABLE_ROWS;
  const table = renderMarkdown({ ...grid, rows: grid.rows.slice(0, TABLE_ROWS) });
  return `### ${figure.title}\n\n${finding}\n\n${figure.reading}\n\n${table}` +
    (more > 0 ? `\n${count(more)} more rows: write the report as JSON or CSV.\n` : "") +
    `\n<details><summary>SQL</summary>\n\n\`\`\`sql\n${figure.sql}\n\`\`\`\n\n</details>\n`;
}

function publishedMarkdown({ published }: Chapter): string {
  const grid: Grid = {
    head: ["result", "published", "source", "these traces", "how they compare"],
    right: [false, false, false, false, false],
    rows: published.map((row) => [
      row.entry.result,
      row.entry.published,
      sourceOf(row.entry),
      row.ours.length === 0 ? "—" : oursText(row),
      row.entry.why,
    ]),
  };
  return `### Beside published numbers\n\n${renderMarkdown(grid)}`;
}

function setupMarkdown({ setup, runs, paths, commands }: Chapter): string {
  const lines = [...commands, ...paths.map(verifyCommand)];
  return `### Set-up and digests\n\n\`\`\`\n${lines.join("\n")}\n\`\`\`\n\n${
    renderMarkdown({
      head: ["", ...runs],
      right: [false, ...runs.map(() => false)],
      rows: setup.map(({ what, values }) => [what, ...values]),
    })
  }`;
}

export function renderReportJson(report: Report): string {
  const chapters = report.chapters.map((chapter) => ({
    id: chapter.id,
    question: chapter.question,
    answer: chapter.answer,
    remark: chapter.remark,
    traces: chapter.runs.map((run, i) => ({
      run,
      path: chapter.paths[i],
      command: chapter.commands[i] ?? null,
    })),
    setup: chapter.setup,
    comparison: chapter.comparison,
    figures: chapter.figures.map(({ figure, rows, finding }) => ({
      id: figure.id,
      title: figure.title,
      finding,
      reading: figure.reading,
      sql: figure.sql,
      rows,
    })),
    absent: chapter.absent,
    published: chapter.published.map(({ entry, ours }) => ({ ...entry, ours })),
  }));
  const { title, version, command } = report;
  return JSON.stringify({ title, version, command, chapters }, null, 2) + "\n";
}

/** RFC 4180, a cell of a figure's rows a line: chapter, figure, row, column, value. */
export function renderReportCsv(report: Report): string {
  const field = (value: Cell) => {
    const plain = String(value ?? "");
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  const lines = report.chapters.flatMap((chapter) =>
    chapter.figures.flatMap(({ figure, rows }) =>
      rows.flatMap((row, i) =>
        Object.entries(row).map(([column, value]) =>
          [chapter.id, figure.id, i + 1, column, value].map(field).join(",")
        )
      )
    )
  );
  return ["chapter,figure,row,column,value", ...lines].join("\n") + "\n";
}
