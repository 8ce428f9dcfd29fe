/**
 * How far a recording is: a bar on a terminal, otherwise a plain line at every tenth.
 * @module
 */
import type { Progress } from "../record.ts";

export interface ProgressView {
  update(p: Progress): void;
  done(p: Progress): void;
  /** Leaves the terminal as it was, also when the work failed half-way. */
  close(): void;
}

/** How far, of 1: by console output, which is the work that the caller expects. */
const share = (p: Progress, expectedBytes: number) => Math.min(1, p.outBytes / expectedBytes);

const count = (n: number) => n.toLocaleString("en-US");

const detail = (p: Progress) =>
  `${count(p.exits)} exits, ${(p.icount / 1e6).toFixed(1)} M instructions`;

/** One line at each tenth of the work. */
export class PlainProgress implements ProgressView {
  #tenths = 0;

  constructor(
    readonly label: string,
    readonly expectedBytes: number,
    readonly print: (line: string) => void = console.error,
  ) {}

  update(p: Progress): void {
    const tenths = Math.floor(share(p, this.expectedBytes) * 10);
    if (tenths <= this.#tenths || tenths === 10) return;
    this.#tenths = tenths;
    this.print(`${this.label.trim()}: ${tenths * 10} %, ${detail(p)}`);
  }

  done(p: Progress): void {
    this.print(`${this.label.trim()}: done, ${detail(p)}`);
  }

  close(): void {}
}

/** A bar on standard error, redrawn a few times a second. */
async function bar(label: string, expectedBytes: number): Promise<ProgressView> {
  const { default: { SingleBar } } = await import("cli-progress");
  const view = new SingleBar({
    format: `${label}  {bar} {percentage} %  {detail}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 24,
    hideCursor: true,
    synchronousUpdate: true,
  });
  view.start(expectedBytes, 0, { detail: "" });
  return {
    update: (p) => view.update(share(p, expectedBytes) * expectedBytes, { detail: detail(p) }),
    done: (p) => view.update(expectedBytes, { detail: detail(p) }),
    close: () => view.stop(),
  };
}

export function progressView(label: string, expectedBytes: number): Promise<ProgressView> {
  return Deno.stderr.isTerminal()
    ? bar(label, expectedBytes)
    : Promise.resolve(new PlainProgress(label, expectedBytes));
}
