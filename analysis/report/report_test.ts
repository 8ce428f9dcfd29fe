/** The report's formats: one set of data, a page that asks for nothing, the same bytes each time. @module */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { EVENT_TABLES } from "../../core/trace/schema.ts";
import { openEngine } from "../engine.ts";
import { openTraces, type Session } from "../open.ts";
import { textOutput } from "../output.ts";
import { writeSynthetic } from "../synthetic.ts";
import { collectChapter } from "./collect.ts";
import type { Chapter, Report } from "./model.ts";
import { PUBLISHED } from "./published.ts";
import { renderReport } from "./report.ts";

const REGIONS = [{ label: "write-16", bytes: 256, chunk: 16 }, {
  label: "write-64",
  bytes: 256,
  chunk: 64,
}];
/** A name that would be markup if anybody forgot to escape it. */
const HOSTILE = `a<b>&"c'`;

async function chapterOf(session: Session, id: string, paths: string[]): Promise<Chapter> {
  const question = `What does ${HOSTILE} cost?`;
  const remark = "Mind the gap.";
  return await collectChapter(session, { id, question, remark, paths, commands: ["record me"] });
}

/** Two chapters: a pair and a single run. */
async function makeReport(): Promise<Report> {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-report-" });
  const engine = openEngine();
  try {
    const paths = [`${folder}/${HOSTILE}.trace`, `${folder}/virtio.trace`];
    writeSynthetic(paths[0]!, { serial: "sifive", regions: REGIONS }, { serial: "sifive" });
    writeSynthetic(paths[1]!, { serial: "virtio", regions: REGIONS }, { serial: "virtio" });
    const chapters: Chapter[] = [];
    for (const [i, own] of [paths, paths.slice(0, 1), paths.toReversed()].entries()) {
      const session = await openTraces(own, textOutput(), { engine });
      const named = own.map((path) => path.slice(folder.length + 1));
      chapters.push(await chapterOf(session, `c${i}`, named));
    }
    return { title: `On ${HOSTILE}`, version: "1", command: "make it again", chapters };
  } finally {
    (await engine).close();
    Deno.removeSync(folder, { recursive: true });
  }
}

const REPORT = await makeReport();
const HTML = await renderReport(REPORT, "html");

Deno.test("report: the same traces give the same bytes", async () => {
  const again = await makeReport();
  assert.equal(await renderReport(again, "html"), HTML);
  for (const format of ["md", "json", "csv"] as const) {
    assert.equal(await renderReport(again, format), await renderReport(REPORT, format), format);
  }
});

Deno.test("report: the page runs nothing and asks for nothing", () => {
  assert.doesNotMatch(HTML, /<script|\son\w+=|javascript:|<link|<img|<iframe|@import|url\(/i);
  const addresses = [...HTML.matchAll(/https?:\/\/[^\s"'<)]*/g)].map(([address]) => address);
  assert.deepEqual([...new Set(addresses)], ["http://www.w3.org/2000/svg"]);
  assert.doesNotMatch(HTML, /\sstyle="/, "its policy refuses styles of elements");
  const css = /<style>([\s\S]*?)<\/style>/.exec(HTML)![1]!;
  const digest = createHash("sha256").update(css).digest("base64");
  assert.ok(HTML.includes(`default-src 'none'; style-src 'sha256-${digest}'`));
});

Deno.test("report: names from outside are text, never markup", () => {
  assert.ok(!HTML.includes(HOSTILE));
  assert.ok(HTML.includes("a&lt;b&gt;&amp;&quot;c&#39;"));
  assert.doesNotMatch(HTML, /<b>/);
  const command = /deno task replay (.*) --verify/.exec(HTML)![1];
  assert.equal(
    command,
    "&#39;a&lt;b&gt;&amp;&quot;c&#39;\\&#39;&#39;.trace&#39;",
    "one word of a shell",
  );
});

Deno.test("report: every plot has a title, a description, a table of its numbers and its SQL", () => {
  const ids = [...HTML.matchAll(/\sid="([^"]*)"/g)].map((m) => m[1]!);
  assert.equal(new Set(ids).size, ids.length, "ids are unique");
  const named = [...HTML.matchAll(/<svg class="plot[^>]*aria-labelledby="([^"]*)"/g)];
  const figures = REPORT.chapters.reduce((sum, chapter) => sum + chapter.figures.length, 0);
  assert.equal(named.length, 2 * figures + 2, "each for page and phone, and the overview's");
  for (const [, labels] of named) {
    for (const id of labels!.split(" ")) assert.ok(ids.includes(id), id);
  }
  assert.equal(HTML.match(/<summary>The numbers<\/summary>/g)!.length, figures);
  assert.equal(HTML.match(/<summary>The SQL behind this figure<\/summary>/g)!.length, figures);
  for (const [, target] of HTML.matchAll(/href="#([^"]*)"/g)) assert.ok(ids.includes(target!));
});

Deno.test("report: set-up, digests, commands and the answer stand in HTML and Markdown", async () => {
  const markdown = await renderReport(REPORT, "md");
  const digests = REPORT.chapters[0]!.setup.find((row) => row.what === "digest of the trace")!;
  assert.equal(digests.values.length, 2);
  for (const text of [HTML, markdown]) {
    for (const digest of digests.values) assert.ok(text.includes(digest), "digest");
    for (
      const said of [
        "make it again",
        "record me",
        "Mind the gap.",
        "replay virtio.trace --verify",
        "fewer exits",
      ]
    ) {
      assert.ok(text.includes(said), said);
    }
  }
});

Deno.test("report: what differs between the runs stands first in the set-up", () => {
  const { setup } = REPORT.chapters[0]!;
  const serial = setup.findIndex((row) => row.what === "serial");
  assert.deepEqual(setup[serial]!.values, ["sifive", "virtio"]);
  const same = setup.findIndex((row) => !row.differs);
  assert.ok(serial < same && setup.slice(same).every((row) => !row.differs));
});

Deno.test("report: JSON and CSV hold every row of every figure", async () => {
  const json = JSON.parse(await renderReport(REPORT, "json"));
  assert.equal(json.chapters.length, REPORT.chapters.length);
  const lines = (await renderReport(REPORT, "csv")).trimEnd().split("\n");
  assert.equal(lines[0], "chapter,figure,row,column,value");
  const cells = REPORT.chapters.flatMap(({ figures }) =>
    figures.flatMap(({ rows }) => rows.flatMap((row) => Object.keys(row)))
  );
  assert.equal(lines.length - 1, cells.length);
  for (const [i, { figures }] of REPORT.chapters.entries()) {
    for (const [k, { figure, rows }] of figures.entries()) {
      assert.equal(json.chapters[i].figures[k].id, figure.id);
      assert.deepEqual(json.chapters[i].figures[k].rows, rows);
    }
  }
});

Deno.test("report: a single run is described in a sentence with its dearest register", () => {
  // 12 exits for every 8 bytes, 8 of them writes to txdata.
  assert.match(
    REPORT.chapters[1]!.answer,
    / took 1,536 exits per KiB within \S+ µs of virtual time, 66\.7 % of them for uart0\.txdata write\.$/,
  );
});

Deno.test("published numbers: each has a source and its place; ours stand beside comparable ones", () => {
  assert.equal(new Set(PUBLISHED.map(({ id }) => id)).size, PUBLISHED.length);
  for (const entry of PUBLISHED) {
    for (const text of [entry.result, entry.published, entry.source, entry.why]) {
      assert.ok(text.length > 0, entry.id);
    }
    assert.equal(entry.sql !== undefined && entry.unit !== undefined, entry.role === "comparable");
  }
  const beside = REPORT.chapters[0]!.published.filter(({ ours }) => ours.length > 0);
  const mmio = beside.find(({ entry }) => entry.id === "virtio-mmio-interrupt")!;
  assert.deepEqual(mmio.ours, [{ run: "virtio", value: 2 }], "the specification's two accesses");
  const second = PUBLISHED.filter((entry) => entry.second_hand);
  assert.ok(second.length > 0);
  assert.equal(
    HTML.match(/\[second-hand\]<\/td>/g)!.length,
    second.length * REPORT.chapters.length,
    "marked wherever it stands",
  );
});

Deno.test("report: a figure says which of its traces was recorded without what it reads", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "exitscope-report-" });
  const engine = openEngine();
  try {
    const paths = ["sifive", "virtio"].map((name) => `${folder}/${name}.trace`);
    writeSynthetic(paths[0]!, { serial: "sifive", regions: REGIONS });
    writeSynthetic(paths[1]!, { serial: "virtio", regions: REGIONS });
    const session = await openTraces(paths, textOutput(), { engine });
    // As if the first had been recorded without these: of one of them it has no rows anyway.
    for (const table of ["irq", "vring"] as const) {
      session.readers[0]!.manifest.event_tables = EVENT_TABLES.filter((t) => t !== table);
      const { figures, absent } = await chapterOf(session, "c", paths);
      const but = figures.filter(({ finding }) =>
        finding.endsWith(` But sifive was recorded without ${table}.`)
      ).map(({ figure }) => figure.id);
      assert.ok(but.includes(table === "irq" ? "interrupts" : "batches"), but.join());
      assert.ok(!but.includes("registers"));
      for (const { why } of absent) assert.doesNotMatch(why, /irq|vring/);
    }
    const alone = await openTraces(paths.slice(0, 1), textOutput(), { engine });
    alone.readers[0]!.manifest.event_tables = ["exit", "access", "mark"];
    const { absent } = await chapterOf(alone, "c", paths.slice(0, 1));
    assert.ok(absent.some(({ why }) => why === "sifive was recorded without vring"));
  } finally {
    (await engine).close();
    Deno.removeSync(folder, { recursive: true });
  }
});
