/**
 * Turns a graph of blocks into nested sequences and loops, as WebAssembly wants it. Strongly connected
 * parts become loops; edges to a loop's head repeat it; without these edges its body is a smaller graph
 * of the same kind. A loop that is entered in several places is entered through a number that says where.
 *
 * @module
 */

export type Item = { readonly kind: "block"; readonly node: number } | Loop;
export interface Loop {
  readonly kind: "loop";
  /** Edges to it, from inside, repeat the loop. */
  readonly head: number;
  /** Where the loop is entered from outside. */
  readonly heads: ReadonlySet<number>;
  readonly nodes: ReadonlySet<number>;
  readonly body: readonly Item[];
}

type Next = (node: number) => readonly number[];
/** How far the code of the loop that a node heads reaches; 0: it is no loop's head. */
type Length = (node: number) => number;

/** Strongly connected components in topological order (Tarjan 1972), without recursion. */
function components(nodes: Iterable<number>, next: Next): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const onStack = new Set<number>();
  const found: number[][] = [];
  const visit = (root: number) => {
    const work: { node: number; edges: readonly number[]; at: number }[] = [];
    const open = (node: number) => {
      index.set(node, index.size);
      low.set(node, index.get(node)!);
      stack.push(node);
      onStack.add(node);
      work.push({ node, edges: next(node), at: 0 });
    };
    open(root);
    while (work.length > 0) {
      const top = work[work.length - 1];
      if (top.at < top.edges.length) {
        const to = top.edges[top.at++];
        if (!index.has(to)) open(to);
        else if (onStack.has(to)) low.set(top.node, Math.min(low.get(top.node)!, index.get(to)!));
        continue;
      }
      work.pop();
      const parent = work[work.length - 1];
      if (parent) low.set(parent.node, Math.min(low.get(parent.node)!, low.get(top.node)!));
      if (low.get(top.node) === index.get(top.node)) found.push(popTo(stack, onStack, top.node));
    }
  };
  for (const n of nodes) if (!index.has(n)) visit(n);
  return found.reverse();
}

function popTo(stack: number[], onStack: Set<number>, node: number): number[] {
  const part: number[] = [];
  for (;;) {
    const n = stack.pop()!;
    onStack.delete(n);
    part.push(n);
    if (n === node) return part.reverse();
  }
}

/**
 * Of several heads, the one of the longest loop: shorter ones stay loops of their own inside, which go round
 * without asking where they were entered. Else the one whose closing leaves the smallest loops inside.
 */
function outermost(
  part: readonly number[],
  heads: ReadonlySet<number>,
  next: Next,
  length: Length,
): number {
  const [first] = heads;
  if (heads.size === 1) return first;
  const longest = [...heads].reduce((a, b) => length(b) > length(a) ? b : a);
  if (length(longest) > 0) return longest;
  const inside = new Set(part);
  let best = { head: first, size: Infinity };
  for (const head of [...heads].slice(0, HEADS_TRIED)) {
    const rest = (n: number) => next(n).filter((to) => to !== head && inside.has(to));
    const size = components(part, rest).reduce((most, p) => Math.max(most, p.length), 0);
    if (size < best.size) best = { head, size };
  }
  return best.head;
}
const HEADS_TRIED = 5;

/** `entries`: nodes that are entered from outside the graph; `next`: edges of the graph. */
export function structure(
  nodes: Iterable<number>,
  next: Next,
  entries: ReadonlySet<number>,
  length: Length,
): Item[] {
  const parts = components(nodes, next);
  const partOf = new Map<number, number>();
  parts.forEach((part, i) => part.forEach((n) => partOf.set(n, i)));
  const entered = new Set(entries);
  for (const n of partOf.keys()) {
    for (const to of next(n)) if (partOf.get(to) !== partOf.get(n)) entered.add(to);
  }
  return parts.map((part): Item => {
    const [node] = part;
    if (part.length === 1 && !next(node).includes(node)) return { kind: "block", node };
    const inside = new Set(part);
    const heads = new Set(part.filter((n) => entered.has(n)));
    const head = outermost(part, heads, next, length);
    const within = (n: number) => next(n).filter((to) => to !== head && inside.has(to));
    return {
      kind: "loop",
      head,
      heads,
      nodes: inside,
      body: structure(part, within, heads, length),
    };
  });
}
