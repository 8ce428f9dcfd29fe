/**
 * A report as one HTML file that asks nothing of anybody: no scripts, no requests (its policy forbids
 * them), plots as SVG in the page, each with a table of its numbers and the SQL behind it.
 * @module
 */
import { createHash } from "node:crypto";
import { sumExits } from "../comparison.ts";
import { exitRate, hasExits } from "../explain.ts";
import { count, rate, ratio, size, time } from "../format.ts";
import type { Grid } from "../output.ts";
import { dots, runColour } from "./charts.ts";
import { escapeText, verifyCommand } from "./escape.ts";
import type { Chapter, FilledFigure, LegendItem, Report } from "./model.ts";
import { drawPlots, type Plot } from "./plots.ts";
import { oursText, type PublishedRow, sourceOf } from "./published.ts";
import { figureGrid, overviewOf, unitOfWork } from "./text.ts";

const CSS = Deno.readTextFileSync(new URL("./report.css", import.meta.url));
const POLICY = `default-src 'none'; style-src 'sha256-${
  createHash("sha256").update(CSS).digest("base64")
}'; base-uri 'none'; form-action 'none'`;

const PAGE = { width: 820, narrow: false };
const PHONE = { width: 316, narrow: true };
/** A longer table is for JSON and CSV. */
const TABLE_ROWS = 60;

const e = escapeText;
/** Prose: a number and its unit stay on one line. */
const prose = (text: string): string =>
  e(text.replace(/(\d) (?=[×%]|(?:[nµm]?s|KiB|MiB|bytes)\b)/g, "$1\u00a0"));

/** The whole file. Throws AnalysisError when the plots cannot be drawn. */
export async function renderHtml(report: Report): Promise<string> {
  const overview = overviewPlots(report);
  const drawn = await drawPlots([...overview, ...report.chapters.flatMap(plotsOf)]);
  let at = overview.length;
  const chapters = report.chapters.map((chapter) => {
    const own = drawn.slice(at, at += plotsOf(chapter).length);
    return chapterHtml(chapter, own, report.chapters.length > 1);
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="exitscope ${e(report.version)}">
<title>${e(report.title)} · Exitscope</title>
<style>${CSS}</style>
</head>
<body>
<header>
<p class="brand">Exitscope report</p>
<h1>${e(report.title)}</h1>
${overviewHtml(report, drawn.slice(0, overview.length))}</header>
<main>
${chapters.join("\n")}
</main>
<footer class="part">
<h2 class="small">Make this report again</h2>
<pre>${e(report.command)}</pre>
<p class="reading">Every count is exact and every run can be repeated bit for bit: the same traces give the
same bytes of this file. Times are virtual. Hypervisor profiles are models of names, rules and prices;
nothing here was measured on one. Written by Exitscope ${e(report.version)}.</p>
</footer>
</body>
</html>
`;
}

const plotId = (chapter: Chapter, { figure }: FilledFigure): string => `${chapter.id}-${figure.id}`;

const OVERVIEW_LEGEND = [{ name: "most exits", colour: "run-1" }, {
  name: "fewest exits",
  colour: "run-2",
}];

/** A line per pair whose work is known; none where there are fewer than two. */
function overviewPlots({ chapters }: Report): Plot[] {
  const pairs = chapters.filter(({ comparison: { runs } }) =>
    runs.length > 1 && unitOfWork(runs).per !== null
  ).map(({ id, comparison: { runs } }) => {
    const rates = runs.map(exitRate);
    return { label: id, least: Math.min(...rates), most: Math.max(...rates) };
  });
  if (pairs.length < 2) return [];
  const rows = pairs.flatMap(({ label, least, most }) => [
    { label, run: "most exits", value: most },
    { label, run: "fewest exits", value: least },
  ]);
  const spans = pairs.map((pair) => ({ ...pair, text: ratio(pair.most, pair.least) }));
  const said = pairs.map(({ label, least, most }) =>
    `${label} ${rate(most)} against ${rate(least)}.`
  );
  return [PAGE, PHONE].map((room) => ({
    id: `overview-${room.narrow ? "phone" : "page"}`,
    title: "All pairs at a glance",
    description: `Exits per KiB. ${said.join(" ")}`,
    className: room.narrow ? "phone" : "page",
    spec: dots({ rows, spans, legend: OVERVIEW_LEGEND, axis: "exits per KiB" }, room),
  }));
}

/** Each figure twice: for the width of a page and of a phone. */
function plotsOf(chapter: Chapter): Plot[] {
  return chapter.figures.flatMap((filled) => {
    const { figure, rows, finding } = filled;
    return [PAGE, PHONE].map((room) => ({
      id: `${plotId(chapter, filled)}-${room.narrow ? "phone" : "page"}`,
      title: figure.title,
      description: `${finding} ${figure.reading}`,
      className: room.narrow ? "phone" : "page",
      spec: figure.spec(rows, room, { runs: chapter.runs }),
    }));
  });
}

/** All questions with their answers; the plot where pairs can be set beside each other. */
function overviewHtml(report: Report, drawn: readonly string[]): string {
  if (report.chapters.length < 2) return "";
  const answers = report.chapters.map(({ id, question, answer }) =>
    `<li><a href="#${e(id)}">${e(id)}: ${e(question)}</a><br>${prose(answer)}</li>`
  );
  const plot = drawn.length === 0 ? "" : `<figure id="overview">
<figcaption><h2 class="small">All pairs at a glance</h2></figcaption>
${legendHtml(OVERVIEW_LEGEND)}
${drawn.join("\n")}
<p class="reading">A line per question: exits per KiB of payload of the run that took the most, and of the one
that took the fewest. The factor at the right is how far they lie apart.</p>
</figure>`;
  return `<ol class="answers">${answers.join("")}</ol>
${plot}
<div class="scroll">${tableHtml(overviewOf(report), "stack overview", "All questions")}</div>
`;
}

function chapterHtml(chapter: Chapter, drawn: readonly string[], several: boolean): string {
  const figures = chapter.figures.map((filled, i) =>
    figureHtml(chapter, filled, drawn.slice(2 * i, 2 * i + 2))
  );
  const links = chapter.figures.map((filled) =>
    `<li><a href="#${plotId(chapter, filled)}">${e(filled.figure.title)}</a></li>`
  );
  const absent = chapter.absent.length === 0
    ? ""
    : `<p class="reading">Left out: ${
      e(chapter.absent.map(({ title, why }) => `“${title}” (${why})`).join("; "))
    }.</p>`;
  return `<section id="${e(chapter.id)}">
<h2${several ? "" : ' class="small"'}>${several ? e(chapter.question) : "In short"}</h2>
<p class="answer">${prose(chapter.answer)}</p>
${chapter.remark === null ? "" : `<p class="finding">${prose(chapter.remark)}</p>`}
${cardsHtml(chapter)}
<nav aria-label="Figures"><ol>${links.join("")}</ol></nav>
${figures.join("\n")}
${absent}
${publishedHtml(chapter)}
${setupHtml(chapter)}
</section>`;
}

/** The figures of each run at a glance. */
function cardsHtml({ comparison: { runs }, runs: names }: Chapter): string {
  const { per } = unitOfWork(runs);
  const cards = runs.map((run) => {
    const lines: [string, string][] = [
      ["exits at work", hasExits(run) ? count(sumExits(run.kinds)) : "not recorded"],
      ["payload", run.bytes > 0 ? size(run.bytes) : "not known"],
      ["virtual time at work", time(run.workNs)],
      ["interrupts handled", handled(run.interrupts)],
    ];
    const big = !hasExits(run)
      ? "—"
      : per === null
      ? count(sumExits(run.kinds))
      : rate(exitRate(run));
    return `<div class="card ${runColour({ runs: names }, run.run)}">
<h3>${e(run.run)}</h3>
<p class="big">${big}</p>
<p class="unit">${per === null ? "exits" : "exits per KiB"}${timesOf(run, runs)}</p>
<dl>${lines.map(([name, value]) => `<dt>${name}</dt><dd>${e(value)}</dd>`).join("")}</dl>
</div>`;
  });
  return `<div class="cards">${cards.join("\n")}</div>`;
}

type Runs = Chapter["comparison"]["runs"];

function handled(interrupts: Runs[number]["interrupts"]): string {
  return interrupts === null
    ? "not recorded"
    : count(interrupts.reduce((n, d) => n + d.handled, 0));
}

/** ", 6.7 × fewer" for the run with the fewest. */
function timesOf(run: Runs[number], runs: Runs): string {
  if (!runs.every(hasExits)) return "";
  const rates = runs.map(exitRate);
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  if (runs.length < 2 || exitRate(run) !== least || least === 0 || least === most) return "";
  return `, ${ratio(most, least)} fewer`;
}

function figureHtml(chapter: Chapter, filled: FilledFigure, drawn: readonly string[]): string {
  const { figure, rows, finding } = filled;
  const id = plotId(chapter, filled);
  const grid = figureGrid(filled);
  const shown = { ...grid, rows: grid.rows.slice(0, TABLE_ROWS) };
  const more = grid.rows.length - shown.rows.length;
  return `<figure id="${id}">
<div class="plate">
<figcaption><h3>${e(figure.title)}</h3>
<p class="finding">${prose(finding)}</p></figcaption>
${legendHtml(figure.legend(rows, { runs: chapter.runs }))}
${drawn.join("\n")}
</div>
<p class="reading">${prose(figure.reading)}</p>
<details class="numbers"><summary>The numbers</summary>
<div class="scroll" tabindex="0" role="region" aria-label="${e(figure.title)}: numbers">${
    tableHtml(shown, "", figure.title)
  }</div>${
    more > 0
      ? `<p class="quiet">${count(more)} more rows: write the report as JSON or CSV.</p>`
      : ""
  }
</details>
<details><summary>The SQL behind this figure</summary>
<pre tabindex="0">${e(figure.sql)}</pre>
</details>
</figure>`;
}

function legendHtml(items: readonly LegendItem[]): string {
  const shown = items.map(({ name, colour }) =>
    `<li><span class="swatch ${colour}"></span>${e(name)}</li>`
  );
  return `<ul class="legend">${shown.join("")}</ul>`;
}

function tableHtml(grid: Grid, className: string, label: string): string {
  const numeric = (i: number) => grid.right[i] ? ' class="n"' : "";
  const head = grid.head.map((cell, i) => `<th scope="col"${numeric(i)}>${e(cell)}</th>`);
  const rows = grid.rows.map((row) =>
    `<tr>${
      row.map((cell, i) =>
        i === 0
          ? `<th scope="row">${e(cell)}</th>`
          : `<td${numeric(i)} data-head="${e(grid.head[i]!)}">${e(cell)}</td>`
      ).join("")
    }</tr>`
  );
  return `<table class="${className}" aria-label="${e(label)}"><thead><tr>${
    head.join("")
  }</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

function publishedHtml({ published }: Chapter): string {
  const [beside, rest] = [
    published.filter(({ entry }) => entry.role === "comparable"),
    published.filter(({ entry }) => entry.role !== "comparable"),
  ];
  const restGrid = (rows: readonly PublishedRow[]): Grid => ({
    head: ["result", "published", "source", "why no figure of ours stands beside it"],
    right: [false, false, false, false],
    rows: rows.map(({ entry }) => [
      entry.result,
      entry.published,
      sourceOf(entry),
      `${entry.role === "price" ? "Used as a price: it " : ""}${entry.why}`,
    ]),
  });
  return `<section class="part">
<h3>Beside published numbers</h3>
<p class="finding">Published numbers are other people's, on other machines and other work; ours are counts of
these traces. They stand side by side to show whether ours are of a likely size, and nothing more.
[second-hand] marks a number read in another work, not at its source.</p>
${
    beside.length === 0
      ? ""
      : tableHtml(besideGrid(beside), "stack", "Published numbers beside ours")
  }
<details><summary>Published, and not comparable with these traces</summary>
<div class="scroll">${
    tableHtml(restGrid(rest), "stack", "Published, not comparable")
  }</div></details>
</section>`;
}

const besideGrid = (rows: readonly PublishedRow[]): Grid => ({
  head: ["result", "published", "source", "these traces", "how they compare"],
  right: [false, false, false, false, false],
  rows: rows.map((row) => [
    row.entry.result,
    row.entry.published,
    sourceOf(row.entry),
    oursText(row),
    row.entry.why,
  ]),
});

function setupHtml({ setup, runs, paths, commands }: Chapter): string {
  const rows = setup.map(({ what, values, differs }) =>
    `<tr${differs ? ' class="differs"' : ""}><th scope="row">${e(what)}</th>${
      (differs || runs.length === 1
        ? values.map((value, i) => `<td data-head="${e(runs[i]!)}">${e(value)}</td>`)
        : [`<td colspan="${runs.length}">${e(values[0]!)}</td>`]).join("")
    }</tr>`
  );
  const verify = paths.map(verifyCommand);
  return `<section class="part">
<h3>Set-up and digests</h3>
<p class="finding">${
    commands.length === 0 ? "" : "The first commands record the traces. "
  }Replay runs a trace again and compares every byte with the recording.</p>
<pre tabindex="0">${e([...commands, ...verify].join("\n"))}</pre>
<details><summary>The machine of ${runs.length > 1 ? "each run" : "the run"}</summary>
${runs.length > 1 ? '<p class="reading">What differs stands first, in bold.</p>' : ""}
<div class="scroll"><table class="stack setup" aria-label="Set-up"><thead><tr><th scope="col">what</th>${
    runs.map((run) => `<th scope="col">${e(run)}</th>`).join("")
  }</tr></thead><tbody>${rows.join("\n")}</tbody></table></div></details>
</section>`;
}
