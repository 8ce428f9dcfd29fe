/**
 * A report looked at in Chromium: wide and at a phone's width, light, dark and on paper. Nothing is cut
 * off or scrolls sideways, nothing is complained of or asked for, and everything can be told from what
 * is behind it (WCAG 2.2 §1.4.3 and §1.4.11).
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { delimiter } from "node:path";
import { inFolder, run } from "./cli.ts";
import { needs } from "./needs.ts";

type Colour = readonly [number, number, number, number];
interface Painted {
  readonly text?: string;
  readonly colour: Colour;
  readonly behind: Colour;
}
interface Look {
  /** 0: on paper. */
  readonly width: number;
  readonly colorScheme: "light" | "dark";
  readonly scrollWidth: number;
  readonly clientWidth: number;
  readonly paper: Colour;
  readonly plots: number;
  readonly unnamed: number;
  readonly cut: readonly string[];
  readonly wide: readonly string[];
  readonly complaints: readonly string[];
  readonly requests: readonly string[];
  readonly texts: readonly Painted[];
  readonly painted: readonly Painted[];
}

const LOOK = fileURLToPath(new URL("./browser/look.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("./browser/deno.json", import.meta.url));

function chromium(): string {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const found = folders.map((folder) => join(folder, "chromium")).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  assert.ok(found);
  return found;
}

async function lookAt(file: string): Promise<Look[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", "--quiet", "--frozen", "--config", CONFIG].concat(
      [LOOK, chromium(), file],
    ),
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  return JSON.parse(text.decode(stdout));
}

/** WCAG's relative luminance of an sRGB colour. */
function luminance([r, g, b]: Colour): number {
  const [x, y, z] = [r, g, b].map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * x! + 0.7152 * y! + 0.0722 * z!;
}

function contrast({ colour, behind }: Painted): number {
  const [low, high] = [luminance(colour), luminance(behind)].sort((a, b) => a - b);
  return (high! + 0.05) / (low! + 0.05);
}

/** The least contrast of text, and of what carries meaning in a plot. */
const TEXT = 4.5;
const GRAPHICS = 3;

function check(page: Look, figures: number): void {
  const where = `${page.width === 0 ? "paper" : page.width} ${page.colorScheme}`;
  assert.deepEqual(page.complaints, [], where);
  assert.equal(page.requests.length, 1, `${where}: asks for ${page.requests}`);
  assert.equal(page.scrollWidth, page.clientWidth, `${where}: scrolls sideways`);
  assert.deepEqual(page.wide, [], `${where}: reaches beyond the page`);
  assert.deepEqual(page.cut, [], `${where}: texts of plots are cut off`);
  assert.equal(page.plots, figures, `${where}: each plot once`);
  assert.equal(page.unnamed, 0, `${where}: plots without a name`);
  assert.ok(page.texts.length > 100 && page.painted.length > 20, where);
  for (const text of page.texts) {
    assert.ok(contrast(text) >= TEXT, `${where}: "${text.text}" has ${contrast(text)}`);
  }
  for (const mark of page.painted) {
    assert.ok(contrast(mark) >= GRAPHICS, `${where}: ${mark.colour} has ${contrast(mark)}`);
  }
}

needs("chromium", { apt: "chromium" }).test(
  "report: looked at in Chromium, wide and narrow, light, dark and on paper",
  () =>
    inFolder(async (folder) => {
      const disk = ["--kernel", "bundled:block", "--drive", "size=1M,latency=20us,bandwidth=500M"];
      const serial = ["--append", "bytes=2048 chunk=16,1024", "--serial"];
      const recordings: Record<string, string[]> = {
        "uart.trace": [...serial, "sifive"],
        "virtio.trace": [...serial, "virtio"],
        "disk.trace": disk,
      };
      for (const [path, words] of Object.entries(recordings)) {
        const { code, stderr } = await run(folder, ["record", ...words, "-o", path]);
        assert.equal(code, 0, stderr);
      }
      const traces = Object.keys(recordings);
      const made = await run(folder, ["report", ...traces, "-o", "r.html"]);
      assert.equal(made.code, 0, made.stderr);
      const json = await run(folder, ["report", ...traces, "-o", "r.json"]);
      assert.equal(json.code, 0, json.stderr);
      const { chapters } = JSON.parse(Deno.readTextFileSync(join(folder, "r.json")));
      const looks = await lookAt(join(folder, "r.html"));
      assert.equal(looks.length, 5);
      for (const page of looks) check(page, chapters[0].figures.length);
      const paper = (width: number, scheme: string) =>
        looks.find((l) => l.width === width && l.colorScheme === scheme)!.paper;
      for (const width of [1280, 360]) {
        assert.ok(luminance(paper(width, "light")) > 0.9, "light is light");
        assert.ok(luminance(paper(width, "dark")) < 0.05, "dark is dark");
      }
      assert.ok(luminance(paper(0, "dark")) > 0.9, "paper is white, whatever the screen");
    }),
);
