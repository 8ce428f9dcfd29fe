/**
 * `report`: traces in, one file out. Loads each chapter's traces, asks every figure, and writes HTML,
 * Markdown, JSON or CSV from the same data.
 * @module
 */
import type { Between } from "../between.ts";
import type { Engine, EngineChoice } from "../engine.ts";
import { openTraces } from "../open.ts";
import type { Output } from "../output.ts";
import { type Asked, collectChapter } from "./collect.ts";
import type { Chapter, Report } from "./model.ts";
import { whileWaiting } from "../waiting.ts";
import { renderReportCsv, renderReportJson, renderReportMarkdown } from "./text.ts";

export type ReportFormat = "html" | "md" | "json" | "csv";

export interface ReportOptions {
  readonly title: string;
  readonly version: string;
  /** Command that makes the report again. */
  readonly command: string;
  readonly chapters: readonly Asked[];
  readonly format: ReportFormat;
  /** Only what lies between two marks. */
  readonly between?: Between | null;
  /** Started by the caller, and the caller's to close. */
  readonly engine?: Promise<Engine>;
  /** Which to start, for each chapter, when none was. */
  readonly choice?: EngineChoice;
}

/** The file's text. Throws AnalysisError or TraceError for what cannot be reported on. */
export async function makeReport(options: ReportOptions, output: Output): Promise<string> {
  const chapters: Chapter[] = [];
  for (const asked of options.chapters) {
    const { engine, choice, between } = options;
    const session = await openTraces(asked.paths, output, { engine, choice, between });
    try {
      const chapter = collectChapter(session, asked);
      chapters.push(await whileWaiting(output, `Asking ${asked.id}`, chapter));
    } finally {
      session.close();
    }
  }
  const { title, version, command } = options;
  const report = renderReport({ title, version, command, chapters }, options.format);
  return await whileWaiting(output, "Drawing", report);
}

export async function renderReport(report: Report, format: ReportFormat): Promise<string> {
  switch (format) {
    case "html":
      return await (await import("./html.ts")).renderHtml(report);
    case "md":
      return renderReportMarkdown(report);
    case "json":
      return renderReportJson(report);
    case "csv":
      return renderReportCsv(report);
  }
}
