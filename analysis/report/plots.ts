/**
 * Figures as SVG: the house's theme laid over each specification, vega run in a program of its own
 * (`plots/`), and what it wrote made fit for a page: colours by CSS, a title and a description, no
 * empty paths.
 * @module
 */
import { fileURLToPath } from "node:url";
import { AnalysisError } from "../errors.ts";
import { escapeText } from "./escape.ts";
import type { Spec } from "./model.ts";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

const THEME: Spec = {
  background: null,
  aria: false,
  font: FONT,
  padding: { left: 1, right: 1, top: 4, bottom: 4 },
  view: { stroke: null },
  facet: { spacing: 20 },
  axis: {
    domainColor: "var(--rule)",
    gridColor: "var(--rule)",
    tickColor: "var(--rule)",
    labelColor: "var(--quiet)",
    titleColor: "var(--quiet)",
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    titlePadding: 8,
    labelOverlap: true,
  },
  axisY: { domain: false, ticks: false },
  header: {
    labelOrient: "top",
    labelAnchor: "start",
    labelFontSize: 13,
    labelFontWeight: 600,
    labelColor: "var(--ink)",
    labelPadding: 10,
    labelLimit: 0,
    title: null,
  },
  text: { limit: 0 },
  style: {
    label: { fontSize: 13, color: "var(--ink)" },
    value: { fontSize: 13, color: "var(--ink)", fontWeight: 600 },
  },
};

/** A plot to draw. */
export interface Plot {
  /** Unique on its page. */
  readonly id: string;
  readonly title: string;
  /** What a reader who does not see it is told. */
  readonly description: string;
  readonly className: string;
  readonly spec: Spec;
}

const RENDERER = fileURLToPath(new URL("./plots/render.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("./plots/deno.json", import.meta.url));

/** The plots as SVG elements, in order. Throws AnalysisError where vega cannot be had. */
export async function drawPlots(plots: readonly Plot[]): Promise<string[]> {
  if (plots.length === 0) return [];
  const specs = plots.map(({ spec }) => ({ ...spec, config: THEME }));
  const drawn = await render(JSON.stringify(specs));
  return drawn.map((svg, i) => dress(svg, plots[i]!));
}

async function render(specs: string): Promise<string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--frozen",
      "--allow-env",
      "--allow-read",
      "--config",
      CONFIG,
      RENDERER,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const [output] = await Promise.all([child.output(), feed(child.stdin, specs)]);
  if (output.success) return JSON.parse(new TextDecoder().decode(output.stdout));
  const said = new TextDecoder().decode(output.stderr).trim().split("\n")[0] ?? "";
  throw new AnalysisError(
    `The plots could not be drawn: ${said || "vega stopped without a word"}`,
    "The packages vega and vega-lite are fetched once: try again online, or write a report without " +
      "plots (-o report.md).",
  );
}

/** A child that ended early says why itself. */
async function feed(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // Its exit code and standard error tell.
  }
}

/** vega's drawing as an element of a page. */
function dress(svg: string, { id, title, description, className }: Plot): string {
  const size = /^<svg[^>]* width="([\d.]+)" height="([\d.]+)" viewBox="([^"]+)">/.exec(svg);
  if (size === null) throw new Error(`plot ${id}: not the SVG that was expected`);
  const [head, width, height, viewBox] = size;
  const body = svg.slice(head.length)
    .replace(/<path [^>]*d="(?:M0,0h0v0h0Z)?"[^>]*\/>/g, "")
    .replace(/<path class="background"[^>]*\/>/g, "")
    .replace(
      / (?:pointer-events|aria-hidden|role|aria-roledescription|class|xlink:[a-z]+)="[^"]*"/g,
      "",
    )
    .replaceAll(/ font-family="[^"]*"/g, "")
    .replaceAll(' opacity="1"', "")
    .replaceAll(/<g>\s*<\/g>/g, "");
  return `<svg class="plot ${className}" role="img" aria-labelledby="${id}-title ${id}-desc" ` +
    `width="${width}" height="${height}" viewBox="${viewBox}" xmlns="http://www.w3.org/2000/svg">` +
    `<title id="${id}-title">${escapeText(title)}</title>` +
    `<desc id="${id}-desc">${escapeText(description)}</desc>${body}`;
}
