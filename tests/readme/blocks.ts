/**
 * README files as data: fenced blocks, the commands in them, and what is shown of their output.
 *
 * A `sh` block that a `text` block follows claims: these commands print this. A line `…` in it stands
 * for any number of lines. Other `sh` blocks claim that their commands are understood.
 * @module
 */

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Line on which the text begins, from 0; it ends `lines` further. */
  readonly at: number;
  readonly lines: number;
}

export interface Example {
  readonly commands: readonly Command[];
  /** The output that is shown, when it is. */
  readonly shown: Block | null;
}

export interface Command {
  readonly words: readonly string[];
  /** File that standard output goes to. */
  readonly into: string | null;
}

export const GAP = "…";

/** Every fenced block, in order. */
export function blocksOf(markdown: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  let open: { at: number; language: string } | null = null;
  lines.forEach((line, i) => {
    const fence = /^```(\w*)$/.exec(line);
    if (!fence) return;
    if (open === null) {
      open = { at: i + 1, language: fence[1] };
    } else {
      const { at, language } = open;
      blocks.push({ language, at, lines: i - at, text: lines.slice(at, i).join("\n") });
      open = null;
    }
  });
  if (open !== null) throw new Error("a fenced block has no end");
  return blocks;
}

/** The commands of a `sh` block; words as a shell makes them, of quotes, blanks and `> FILE` only. */
export function commandsOf(text: string): Command[] {
  const commands: Command[] = [];
  let words: string[] = [];
  const end = () => {
    if (words.length === 0) return;
    const redirected = words.length > 2 && words.at(-2) === ">";
    commands.push(
      redirected ? { words: words.slice(0, -2), into: words.at(-1)! } : { words, into: null },
    );
    words = [];
  };
  for (const [token] of text.matchAll(/\n|(?:[^\s"']+|"[^"]*"|'[^']*')+/g)) {
    if (token === "\n") end();
    else words.push(token.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
  }
  end();
  return commands;
}

/** The `sh` blocks of a README, each with the `text` block that follows at once. */
export function examplesOf(markdown: string): Example[] {
  const lines = markdown.split("\n");
  const blocks = blocksOf(markdown);
  return blocks.flatMap((block, i) => {
    if (block.language !== "sh") return [];
    const next = blocks[i + 1];
    const follows = next?.language === "text" &&
      lines.slice(block.at + block.lines + 1, next.at - 1).every((l) => l === "");
    return [{ commands: commandsOf(block.text), shown: follows ? next : null }];
  });
}

/** Without what differs from host to host: how long it took. */
export const withoutHostTime = (text: string) =>
  text.replace(/\b\d+(\.\d+)? s\)/g, "… s)").replace(/[ \t]+$/gm, "");

/** What is shown, cut at its gaps. */
export function segmentsOf(shown: string): string[][] {
  const segments: string[][] = [[]];
  for (const line of shown.split("\n")) {
    if (line === GAP) segments.push([]);
    else segments.at(-1)!.push(line);
  }
  return segments;
}

/** Where in `output` the lines of `segment` stand, from line `from` on; -1 when nowhere. */
function find(output: readonly string[], segment: readonly string[], from: number): number {
  for (let at = from; at + segment.length <= output.length; at++) {
    if (segment.every((line, i) => output[at + i] === line)) return at;
  }
  return -1;
}

/** The first line that is shown and not printed where it should be, or null. */
export function firstMissing(shown: string, printed: string): string | null {
  const output = withoutHostTime(printed).trimEnd().split("\n");
  const segments = segmentsOf(withoutHostTime(shown));
  let from = 0;
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    const start = last && i > 0 && segment.length > 0 ? output.length - segment.length : from;
    const at = find(output, segment, Math.max(start, from));
    if (at < 0 || (i === 0 && at > 0 && segment.length > 0)) {
      return segment.find((line) => !output.includes(line)) ?? segment[0];
    }
    from = at + segment.length;
  }
  const whole = segments.length === 1 && from !== output.length;
  return whole ? `(nothing more is shown, but there is) ${output[from]}` : null;
}

/** What to show instead: each segment again, as long as it was, from the line that begins it. */
export function shownAgain(shown: string, printed: string): string {
  const output = printed.trimEnd().split("\n").map((line) => line.trimEnd());
  const segments = segmentsOf(shown);
  if (segments.length === 1 || segments.every((s) => s.length === 0)) return output.join("\n");
  let from = 0;
  return segments.map((segment) => {
    if (segment.length === 0) return "";
    const at = output.findIndex((line, i) => i >= from && line === segment[0]);
    if (at < 0) {
      throw new Error(`nothing printed begins with ${segment[0]}: edit this block by hand`);
    }
    from = at + segment.length;
    return output.slice(at, from).join("\n");
  }).join(`\n${GAP}\n`).trim();
}
