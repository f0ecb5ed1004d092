/**
 * A definition before it is understood: a plain value, and where in the file each part of it came from. From YAML
 * (JSON is a subset) every key and value has a line and column; a plain object has key paths alone.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, Scalar } from 'yaml';
import type { ErrorPlace } from '../errors.ts';
import { DEFINITION_DEPTH_MAX, DEFINITION_NODES_MAX } from '../limits.ts';

export type KeyPath = readonly (string | number)[];

export interface DefinitionProblem {
  readonly path: KeyPath;
  readonly at: ErrorPlace;
  readonly message: string;
  readonly hint?: string;
}

export interface DefinitionSource {
  readonly value: unknown;
  /** Problems of the text itself. Those that leave a usable value (a duplicate key) have one; else value is undefined. */
  readonly problems: readonly DefinitionProblem[];
  /** The place of a key, or of a value and an offset inside its text. Falls back to the nearest enclosing part. */
  place(path: KeyPath, part: 'key' | 'value', textOffset?: number): ErrorPlace;
}

export function sourceOfValue(value: unknown, file: string | undefined): DefinitionSource {
  return { value: plainCopy(value, 0), problems: [], place: () => (file === undefined ? {} : { file }) };
}

/** A copy that later changes to the caller's object do not reach. A key whose value is undefined is absent. */
function plainCopy(value: unknown, depth: number): unknown {
  // A cycle ends here too; what is cut off is then reported as missing.
  if (typeof value !== 'object' || value === null || depth > DEFINITION_DEPTH_MAX) return value ?? null;
  if (Array.isArray(value)) return value.map((item) => plainCopy(item, depth + 1));
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plainCopy(item, depth + 1)]));
}

export function sourceOfText(text: string, file: string): DefinitionSource {
  const source = text.startsWith('\ufeff') ? text.slice(1) : text;
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const at = (offset: number): ErrorPlace => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const walk: Walk = { source, resolve: (node) => (isAlias(node) ? node.resolve(document) : node), at };
  const tree: Tree = { nodes: new Map(), problems: [], nodeCount: 0 };
  // Only the first: what follows a syntax error is mostly its echo.
  for (const error of document.errors.slice(0, 1)) {
    tree.problems.push({ path: [], at: at(error.pos[0]), message: error.message, hint: yamlHint });
  }
  const broken = tree.problems.length > 0;
  const value = broken ? undefined : plainValue(document.contents, [], walk, tree);
  return {
    value,
    problems: tree.problems,
    place: (path, part, offset) => placeOf(path, part, offset, walk, tree),
  };
}

const yamlHint = 'this is YAML: an expression that starts with ! \' " ` & or * goes in quotes';

interface Walk {
  readonly source: string;
  readonly resolve: (node: unknown) => unknown;
  readonly at: (offset: number) => ErrorPlace;
}

interface Located {
  /** Offset of the key or list item; the root has the offset of its value. */
  readonly keyOffset: number;
  readonly node: Node | null;
}

interface Tree {
  readonly nodes: Map<string, Located>;
  readonly problems: DefinitionProblem[];
  nodeCount: number;
}

/** Maps become objects keyed by the text of the key, so `null:` is the key "null" and `1:` the key "1". */
function plainValue(start: unknown, path: KeyPath, walk: Walk, tree: Tree): unknown {
  const node = walk.resolve(start);
  const at = walk.at(offsetOf(start) ?? 0);
  if (path.length === 0) tree.nodes.set('[]', { keyOffset: offsetOf(node) ?? 0, node: node as Node | null });
  if (path.length > DEFINITION_DEPTH_MAX || ++tree.nodeCount > DEFINITION_NODES_MAX) {
    if (tree.nodeCount <= DEFINITION_NODES_MAX + 1) {
      tree.problems.push({ path, at, message: 'the definition is nested too deeply or too large' });
    }
    return undefined;
  }
  if (isMap(node)) return plainObject(node.items, path, walk, tree);
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      const itemPath = [...path, index];
      const located = { keyOffset: offsetOf(item) ?? 0, node: item as Node | null };
      tree.nodes.set(JSON.stringify(itemPath), located);
      return plainValue(item, itemPath, walk, tree);
    });
  }
  if (!isScalar(node)) return null;
  if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org')) {
    const message = `"${node.tag}" is a YAML tag, not a value`;
    const tagOffset = walk.source.lastIndexOf('!', offsetOf(node) ?? 0);
    tree.problems.push({ path, at: walk.at(tagOffset), message, hint: yamlHint });
  }
  return node.value;
}

function plainObject(
  items: readonly { key: unknown; value: unknown }[],
  path: KeyPath,
  walk: Walk,
  tree: Tree,
): Record<string, unknown> {
  const entries = new Map<string, unknown>();
  for (const pair of items) {
    const key = walk.resolve(pair.key);
    const keyOffset = offsetOf(pair.key) ?? offsetOf(pair.value) ?? 0;
    if (!isScalar(key)) {
      tree.problems.push({ path, at: walk.at(keyOffset), message: 'a key must be a plain word or string' });
      continue;
    }
    const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
    const keyPath = [...path, name];
    if (entries.has(name)) {
      const message = `duplicate key ${JSON.stringify(name)}`;
      tree.problems.push({ path: keyPath, at: walk.at(keyOffset), message, hint: 'keep one of them' });
      continue;
    }
    tree.nodes.set(JSON.stringify(keyPath), { keyOffset, node: pair.value as Node | null });
    entries.set(name, plainValue(pair.value, keyPath, walk, tree));
  }
  return Object.fromEntries(entries);
}

function placeOf(
  path: KeyPath,
  part: 'key' | 'value',
  textOffset: number | undefined,
  walk: Walk,
  tree: Tree,
) {
  for (let length = path.length; length >= 0; length--) {
    const located = tree.nodes.get(JSON.stringify(path.slice(0, length)));
    if (located === undefined) continue;
    if (part === 'key' || length < path.length) return walk.at(located.keyOffset);
    const offset = offsetOf(located.node) ?? located.keyOffset;
    if (textOffset === undefined || !isScalar(located.node)) return walk.at(offset);
    return walk.at(sourceOffset(located.node, textOffset, walk.source));
  }
  return walk.at(0);
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

/** Where the character at `textOffset` of a scalar's value stands in the source, through quotes, escapes and folding. */
function sourceOffset(node: Scalar, textOffset: number, source: string): number {
  const [start, end] = node.range!;
  const text = String(node.value);
  let offset = start;
  if (node.type === Scalar.BLOCK_LITERAL || node.type === Scalar.BLOCK_FOLDED) {
    offset = source.indexOf('\n', start) + 1;
  } else if (node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE) {
    offset = start + 1;
  }
  const limit = Math.min(textOffset, text.length);
  offset = skipIndent(text[0], offset, source, end);
  for (let index = 0; index < limit; index++) {
    offset = skipIndent(
      text[index + 1],
      offset + spelledLength(node, text[index], offset, source),
      source,
      end,
    );
  }
  return Math.min(offset, end);
}

/** Source characters that spell one character of the value. */
function spelledLength(node: Scalar, character: string, offset: number, source: string): number {
  if (node.type === Scalar.QUOTE_SINGLE) return character === "'" ? 2 : 1;
  if (node.type !== Scalar.QUOTE_DOUBLE || source[offset] !== '\\') return 1;
  const lengths: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 };
  return lengths[source[offset + 1]] ?? 2;
}

/** Over line breaks and indentation that folding or a block scalar removed before the next character of the value. */
function skipIndent(next: string | undefined, offset: number, source: string, end: number): number {
  let skipped = offset;
  while (skipped < end && next !== undefined && source[skipped] !== next && /\s/.test(source[skipped])) {
    skipped++;
  }
  return skipped;
}
