/**
 * The prompt of `query`: statements up to their semicolon, over several lines, and commands that begin
 * with a dot. Answers go to the output, errors beside it, and neither ends the session. Without a
 * terminal it reads statements from standard input, shows no prompt, and remembers that one failed.
 * @module
 */
import { catalogOf, complete } from "./completion.ts";
import { AnalysisError } from "./errors.ts";
import { createSurface } from "./load.ts";
import type { Session } from "./open.ts";
import type { Output } from "./output.ts";
import { answer, type QueryFormat } from "./query.ts";
import { describeEntry } from "./schema_doc.ts";
import { loadedTypes } from "./view_types.ts";
import { parseBetween } from "./between.ts";
import { isBlank, oneStatement, setParam, split } from "./statement.ts";
import { tour } from "./tour.ts";

/** Where lines come from: a terminal, a pipe, a test. */
export interface Lines {
  /** The next line, null at the end, "interrupt" when the user gave up the one begun. */
  next(prompt: string): Promise<string | null | typeof INTERRUPT>;
  close(): void;
}
export const INTERRUPT = Symbol("interrupt");

/** What the prompt needs to know of where it runs. */
export interface PromptOptions {
  readonly session: Session;
  readonly output: Output;
  readonly lines: Lines;
  readonly format: QueryFormat;
  readonly params: ReadonlyMap<string, string>;
}

interface Command {
  readonly name: string;
  /** What follows the name, for `.help`. */
  readonly takes: string;
  readonly doc: string;
  run(prompt: Prompt, argument: string): Promise<void> | void;
}

const FORMATS: readonly QueryFormat[] = ["table", "csv", "json", "markdown"];

const COMMANDS: readonly Command[] = [
  { name: ".help", takes: "", doc: "These lines.", run: (p) => p.write(help()) },
  {
    name: ".tables",
    takes: "",
    doc: "Tables, views and macros, and queries to try.",
    run: (p) => p.tour(),
  },
  {
    name: ".schema",
    takes: "NAME",
    doc: "What a table, view or macro is, column by column.",
    run: (p, name) => p.schema(name),
  },
  {
    name: ".between",
    takes: "LABEL|FROM..TO|off",
    doc: "Ask only what lies between two marks.",
    run: (p, text) => p.between(text),
  },
  {
    name: ".param",
    takes: "NAME=VALUE",
    doc: "Set a parameter: $NAME in a statement.",
    run: (p, text) => p.setParam(text),
  },
  {
    name: ".format",
    takes: FORMATS.join("|"),
    doc: "How answers are printed.",
    run: (p, name) => p.setFormat(name),
  },
  { name: ".quit", takes: "", doc: "Leave; so does Ctrl-D.", run: (p) => p.quit() },
];

export const COMMAND_NAMES = COMMANDS.map((command) => command.name);

function help(): string {
  const calls = COMMANDS.map(({ name, takes }) => `${name} ${takes}`.trim());
  const width = Math.max(...calls.map((call) => call.length));
  const lines = COMMANDS.map(({ doc }, i) => `${calls[i]!.padEnd(width)}  ${doc}\n`);
  return `${
    lines.join("")
  }A statement ends with a semicolon; a table's or view's name alone will do.\n` +
    "Tab completes names, Ctrl-C drops what is typed.\n";
}

/** Runs until the lines end; true when no statement failed. */
export async function runPrompt(options: PromptOptions): Promise<boolean> {
  const prompt = new Prompt(options);
  try {
    return await prompt.run();
  } finally {
    options.lines.close();
  }
}

class Prompt {
  readonly #o: PromptOptions;
  readonly #params: Map<string, string>;
  #format: QueryFormat;
  #begun = "";
  #failed = false;
  #over = false;

  constructor(options: PromptOptions) {
    this.#o = options;
    this.#format = options.format;
    this.#params = new Map(options.params);
  }

  async run(): Promise<boolean> {
    while (!this.#over) {
      const line = await this.#o.lines.next(this.#begun === "" ? "exitscope> " : "       ...> ");
      if (line === null) break;
      if (line === INTERRUPT) this.#begun = "";
      else await this.#take(line);
    }
    if (!isBlank(this.#begun)) await this.#guard(() => this.#ask(this.#begun));
    return !this.#failed;
  }

  async #take(line: string): Promise<void> {
    if (this.#begun === "" && line.startsWith(".")) {
      await this.#guard(() => this.#command(line.trim()));
      return;
    }
    const typed = `${this.#begun}${line}\n`;
    const statements = split(typed);
    const rest = statements.pop()!;
    // A name alone needs no semicolon.
    const whole = statements.length === 0 && this.#begun === "" && isRelation(line.trim());
    this.#begun = whole || isBlank(rest) ? "" : rest;
    for (const statement of whole ? [line] : statements) {
      if (!isBlank(statement)) await this.#guard(() => this.#ask(statement));
    }
  }

  async #guard(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#failed = true;
      const { message, fix } = error as Error & { fix?: string };
      this.#o.output.note(fix === undefined ? message : `${message}\n${fix}`);
    }
  }

  async #ask(sql: string): Promise<void> {
    const { session, output } = this.#o;
    await answer(session, oneStatement(sql), this.#params, this.#format, output);
  }

  async #command(line: string): Promise<void> {
    const [, name = "", argument = ""] = /^(\.\w*)\s*(.*)$/.exec(line) ?? [];
    const command = COMMANDS.find((c) => c.name === name);
    if (command === undefined) {
      throw new AnalysisError(`There is no command ${name}.`, ".help lists them.");
    }
    await command.run(this, argument.replace(/;$/, "").trim());
  }

  write(text: string): void {
    this.#o.output.write(text);
  }

  async tour(): Promise<void> {
    this.write(await tour(this.#o.session, this.#o.output.width));
  }

  async schema(name: string): Promise<void> {
    const { session, output } = this.#o;
    const types = await loadedTypes(session.engine);
    const text = describeEntry(name, Math.min(100, output.width), types);
    if (text === null) {
      throw new AnalysisError(
        name === "" ? "No name is given." : `There is no table, view or macro ${name}.`,
        ".tables lists them.",
      );
    }
    this.write(text);
  }

  async between(text: string): Promise<void> {
    const between = text === "off" ? null : parseBetween(text);
    if (between === null && text !== "off") {
      throw new AnalysisError(
        "No marks are given.",
        "Give a region's LABEL, marks as FROM..TO, or off.",
      );
    }
    const { engine, names } = this.#o.session;
    await createSurface(engine, names, { between });
  }

  async setParam(text: string): Promise<void> {
    const [, name, value] = /^([a-z_]\w*)\s*=\s*(.*)$/i.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new AnalysisError("No parameter is given.", "Give it as NAME=VALUE.");
    }
    await this.#o.session.engine.query(setParam(name, value));
    this.#params.set(name, value);
  }

  setFormat(name: string): void {
    const format = FORMATS.find((f) => f === name);
    if (format === undefined) {
      throw new AnalysisError(`There is no format ${name}.`, `Give one of ${FORMATS.join(", ")}.`);
    }
    this.#format = format;
  }

  quit(): void {
    this.#over = true;
  }
}

const CATALOG = catalogOf(COMMAND_NAMES);
const isRelation = (word: string): boolean => CATALOG.columns.has(word);

/** For a line editor: candidates for the line begun. */
export const completer = (line: string, before = ""): [string[], string] =>
  complete(line, before, CATALOG);
