/**
 * Tidy rules that look at the syntax tree, as a plugin of `deno lint`'s: how long functions are, what
 * `core/` may not call, who may import whom.
 * @module
 */
import { posix } from "node:path";

/** A function and how many lines it has of its own: functions inside it count by themselves. */
export interface FunctionLength {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

export interface Syntax {
  readonly functions: FunctionLength[];
  /** Specifiers imported, with their line. */
  readonly imports: { specifier: string; line: number }[];
  /** What breaks determinism, in the source's words. */
  readonly banned: { what: string; line: number }[];
}

/** Member calls and names through which time, chance or another task's order would enter. */
const BANNED_MEMBERS = new Set(["Date.now", "performance.now", "Math.random"]);
const BANNED_NAMES = new Set([
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch", "Promise"],
]);

interface Named {
  readonly type: string;
  readonly name?: string;
  readonly id?: Named | null;
  readonly key?: Named | null;
}

const identifier = (node: Named | null | undefined) =>
  node?.type === "Identifier" || node?.type === "PrivateIdentifier" ? node.name : undefined;

/** The name a reader would give the function: its own, or of what it is assigned to. */
function nameOf(node: Deno.lint.Node, parent: Deno.lint.Node | undefined): string {
  const [own, outer] = [node as unknown as Named, parent as unknown as Named | undefined];
  return identifier(own.id) ?? identifier(outer?.key) ?? identifier(outer?.id) ?? "(anonymous)";
}

/** Offsets to line numbers, from 1. */
function lineCounter(text: string): (offset: number) => number {
  const starts = [0];
  for (let i = 0; i < text.length; i++) if (text[i] === "\n") starts.push(i + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

/** The part of a visitor that measures functions. */
function measuring(found: Syntax, lineOf: (offset: number) => number): Deno.lint.LintVisitor {
  const open: { nestedLines: number }[] = [];
  const enter = (node: Deno.lint.Node & { async?: boolean }) => {
    open.push({ nestedLines: 0 });
    if (node.async) found.banned.push({ what: "async", line: lineOf(node.range[0]) });
  };
  const leave = (node: Deno.lint.Node & { range: Deno.lint.Range; parent?: Deno.lint.Node }) => {
    const { nestedLines } = open.pop()!;
    const [first, last] = node.range.map(lineOf);
    const span = last - first + 1;
    const outer = open.at(-1);
    if (outer) outer.nestedLines += span - 1;
    found.functions.push({
      name: nameOf(node, node.parent),
      line: first,
      lines: span - nestedLines,
    });
  };
  const kinds = "FunctionDeclaration, FunctionExpression, ArrowFunctionExpression";
  return Object.fromEntries(
    kinds.split(", ").flatMap((kind) => [[kind, enter], [`${kind}:exit`, leave]]),
  );
}

function collector(found: Syntax, text: string): Deno.lint.LintVisitor {
  const lineOf = lineCounter(text);
  const ban = (what: string, node: Deno.lint.Node) =>
    found.banned.push({ what, line: lineOf(node.range[0]) });
  const imported = (node: { source: { value: string } | null; range: Deno.lint.Range }) => {
    if (node.source) {
      found.imports.push({ specifier: node.source.value, line: lineOf(node.range[0]) });
    }
  };
  return {
    ...measuring(found, lineOf),
    ImportDeclaration: imported,
    ExportNamedDeclaration: imported,
    ExportAllDeclaration: imported,
    MemberExpression(node) {
      const name = text.slice(...node.range).replace(/\s/g, "");
      if (BANNED_MEMBERS.has(name)) ban(name, node);
    },
    Identifier(node) {
      const parent = node.parent as unknown as
        | { type: string; property?: unknown; key?: unknown }
        | undefined;
      const isPropertyName = parent?.property === node || parent?.key === node;
      // A type is nothing that runs: what makes the promise is found by itself.
      const isType = parent?.type === "TSTypeReference";
      if (BANNED_NAMES.has(node.name) && !isPropertyName && !isType) ban(node.name, node);
    },
    AwaitExpression: (node) => void ban("await", node),
  };
}

/** What the rules need to know of a file. Works in `deno test` only. */
export function analyse(path: string, text: string): Syntax {
  const found: Syntax = { functions: [], imports: [], banned: [] };
  const rule: Deno.lint.Rule = { create: (context) => collector(found, context.sourceCode.text) };
  Deno.lint.runPlugin({ name: "exitscope", rules: { tidy: rule } }, path, text);
  return found;
}

/** The file that `specifier` means in `from`, from the root; null for packages. */
export function resolveImport(from: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return posix.normalize(posix.join(posix.dirname(from), specifier));
}
