/**
 * Draws vega-lite specifications as SVG, without a DOM: a program of its own, with an import map and a
 * lock file of its own, so that nothing but a report downloads vega. Reads a JSON array of
 * specifications from standard input and writes a JSON array of SVG texts.
 * @module
 */
// By variable: the project's own import map does not know these packages, nor is it to.
const [VEGA, VEGA_LITE] = ["vega", "vega-lite"];
const vega = await import(VEGA);
const vegaLite = await import(VEGA_LITE);

/** Widths of characters in ems, as sans-serif faces have them on average. */
const WIDTHS: readonly [RegExp, number][] = [
  [/[ilj.,:;'|!()\[\] ]/, 0.3],
  [/[mwMW%@]/, 0.88],
  [/[A-Z_]/, 0.67],
];

function textWidth(item: { fontSize?: number }, text: unknown): number {
  const ems = [...String(text ?? "")]
    .reduce((sum, c) => sum + (WIDTHS.find(([is]) => is.test(c))?.[1] ?? 0.56), 0);
  return ems * (item.fontSize ?? 11);
}

// There is no canvas to measure with; vega's own estimate is far too wide.
vega.textMetrics.width = textWidth;

const specs = JSON.parse(await new Response(Deno.stdin.readable).text());
const drawn: string[] = [];
for (const spec of specs) {
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec), { renderer: "none" });
  drawn.push(await view.toSVG());
  view.finalize();
}
const bytes = new TextEncoder().encode(JSON.stringify(drawn));
for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
