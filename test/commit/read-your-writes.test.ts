/**
 * Scripts of writes and reads against an oracle that applies the operations to the snapshot: the results, and which keys
 * of the snapshot they are protected against.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToLatin1 } from '../../src/commit/byte-order.ts';
import { CommitError } from '../../src/commit/commit-error.ts';
import { RANGE_BOUND_BYTES_MAX } from '../../src/commit/commit-limits.ts';
import type { KeyRange } from '../../src/commit/commit-storage.ts';
import type { Operation } from '../../src/commit/operation.ts';
import { type KeySelector, Transaction } from '../../src/commit/transaction.ts';
import { applyOne, type State, stampedWith } from './naive-state.ts';
import { keys, ranges, readableOperations, stampedOperations, values } from './operation-fixtures.ts';
import { SnapshotReader } from './snapshot-reader.ts';

const VERSION = 77;
const KEYS_END = '\xff'.repeat(RANGE_BOUND_BYTES_MAX);

interface RangeStep extends KeyRange {
  readonly type: 'range';
  readonly limit: number | undefined;
  readonly reverse: boolean;
  readonly snapshot: boolean;
  /** The reader leaves after so many pairs. */
  readonly stopAfter: number;
}

type Step =
  | { readonly type: 'write'; readonly operation: Operation }
  | { readonly type: 'get'; readonly key: Uint8Array; readonly snapshot: boolean }
  | {
      readonly type: 'getKey';
      readonly selector: KeySelector;
      readonly key: Uint8Array;
      readonly snapshot: boolean;
    }
  | RangeStep;

const steps = (operations: fc.Arbitrary<Operation>): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ type: fc.constant('write' as const), operation: operations }) },
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('get' as const), key: keys, snapshot: fc.boolean() }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('getKey' as const),
          selector: fc.constantFrom<KeySelector>(
            'firstGreaterOrEqual',
            'firstGreaterThan',
            'lastLessOrEqual',
            'lastLessThan',
          ),
          key: keys,
          snapshot: fc.boolean(),
        }),
      },
      {
        weight: 3,
        arbitrary: fc
          .tuple(
            ranges,
            fc.record({
              limit: fc.option(fc.nat(6), { nil: undefined }),
              reverse: fc.boolean(),
              snapshot: fc.boolean(),
              stopAfter: fc.oneof(fc.constant(1000), fc.integer({ min: 1, max: 5 })),
            }),
          )
          .map(([{ begin, end }, options]) => ({ type: 'range' as const, begin, end, ...options })),
      },
    ),
    { maxLength: 14 },
  );

const states: fc.Arbitrary<State> = fc
  .array(fc.tuple(keys.map(bytesToLatin1), values.map(bytesToLatin1)), { maxLength: 40 })
  .map((pairs) => new Map(pairs));

interface Run {
  /** A result for each step: a value, pairs, a key, or an error code; null for writes. */
  readonly results: unknown[];
  /** Whether the version was known at each step. */
  readonly isVersionKnown: boolean[];
  readonly readRanges: readonly KeyRange[];
  readonly writeRanges: readonly KeyRange[];
}

async function run(state: State, script: readonly Step[], pagePairsMax: number): Promise<Run> {
  const reader = new SnapshotReader(state, VERSION, pagePairsMax);
  const transaction = new Transaction(reader);
  const results: unknown[] = [];
  const isVersionKnown: boolean[] = [];
  for (const step of script) {
    isVersionKnown.push(reader.calls.length > 0);
    results.push(await runStep(transaction, step));
  }
  const { request } = await transaction.seal();
  return { results, isVersionKnown, readRanges: request.readRanges, writeRanges: request.writeRanges };
}

async function runStep(transaction: Transaction, step: Step): Promise<unknown> {
  if (step.type === 'write') return write(transaction, step.operation);
  const pairs: string[][] = [];
  try {
    if (step.type === 'get') return text(await transaction.get(step.key, step));
    if (step.type === 'getKey') return text(await transaction.getKey(step.selector, step.key, step));
    const { limit, reverse, snapshot } = step;
    const options = { reverse, snapshot, ...(limit === undefined ? {} : { limit }) };
    for await (const { key, value } of transaction.getRange(step.begin, step.end, options)) {
      pairs.push([bytesToLatin1(key), bytesToLatin1(value)]);
      if (pairs.length === step.stopAfter) break;
    }
    return pairs;
  } catch (error) {
    if (!(error instanceof CommitError)) throw error;
    return step.type === 'range' ? [...pairs, [error.code]] : error.code;
  }
}

function write(transaction: Transaction, operation: Operation): null {
  if (operation.type === 'set') transaction.set(operation.key, operation.value);
  else if (operation.type === 'clear') transaction.clear(operation.key);
  else if (operation.type === 'clearRange') transaction.clearRange(operation.begin, operation.end);
  else transaction.atomic(operation.atomic, operation.key, operation.operand);
  return null;
}

const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : bytesToLatin1(bytes));

/** The oracle: a map for what is read, and the operations so far for the rest. */
class Oracle {
  readonly #state: State;
  readonly #operations: { operation: Operation; isVersionKnown: boolean }[] = [];
  /** Whether a key must be protected. */
  readonly #protections: ((key: string) => boolean)[] = [];

  constructor(state: State) {
    this.#state = new Map(state);
  }

  step(step: Step, isVersionKnown: boolean, probes: readonly string[]): unknown {
    if (step.type === 'write') {
      this.#operations.push({ operation: step.operation, isVersionKnown });
      applyOne(this.#state, step.operation, VERSION + 1);
      return null;
    }
    if (step.type === 'get') {
      const key = bytesToLatin1(step.key);
      if (this.#isUnreadable(key)) return 'ACCESSED_UNREADABLE';
      if (!step.snapshot) this.#protect(key, `${key}\0`);
      return this.#state.get(key);
    }
    if (step.type === 'getKey') {
      const key = bytesToLatin1(step.key);
      const isAfter = step.selector === 'firstGreaterThan' || step.selector === 'lastLessOrEqual';
      const bound = isAfter ? `${key}\0` : key;
      const isForward = step.selector.startsWith('first');
      const [begin, end] = isForward ? [bound, KEYS_END] : ['', bound];
      const pairs = this.#range(begin, end, 1, !isForward, 1, step.snapshot, probes);
      return pairs[0]?.[0];
    }
    const { begin, end, limit = 1000, reverse, stopAfter, snapshot } = step;
    return this.#range(bytesToLatin1(begin), bytesToLatin1(end), limit, reverse, stopAfter, snapshot, probes);
  }

  mustProtect(key: string): boolean {
    return this.#protections.some((protects) => protects(key));
  }

  isWritten(key: string): boolean {
    return this.#operations.some(
      ({ operation }) =>
        !(operation.type === 'atomic' && operation.atomic === 'SET_VERSIONSTAMPED_KEY') &&
        covers(operation, key),
    );
  }

  #range(
    begin: string,
    end: string,
    limit: number,
    reverse: boolean,
    stopAfter: number,
    snapshot: boolean,
    probes: readonly string[],
  ): string[][] {
    if (limit === 0) return [];
    // Between two probes nothing changes, so the unreadable part nearest to the start begins or ends at one.
    const inside = [...new Set([begin, ...probes, end])].sort().filter((key) => begin <= key && key < end);
    const blocked = inside.filter((key) => this.#isUnreadable(key));
    const blockedAt = reverse ? blocked.at(-1) : blocked[0];
    let [from, to] = [begin, end];
    if (blockedAt !== undefined && reverse) from = inside[inside.indexOf(blockedAt) + 1] ?? end;
    else if (blockedAt !== undefined) to = blockedAt;
    const names = [...this.#state.keys()].filter((key) => from <= key && key < to).sort();
    if (reverse) names.reverse();
    const count = Math.min(limit, stopAfter, names.length);
    const pairs = names.slice(0, count).map((name) => [name, this.#state.get(name)!]);
    const isLeftEarly = count === limit || count === stopAfter;
    if (isLeftEarly && reverse) from = names[count - 1];
    else if (isLeftEarly) to = `${names[count - 1]}\0`;
    if (!snapshot) this.#protect(from, to);
    return isLeftEarly || blockedAt === undefined ? pairs : [...pairs, ['ACCESSED_UNREADABLE']];
  }

  #protect(from: string, to: string): void {
    const operations = this.#operations
      .map(({ operation }) => operation)
      .filter((operation) => operation.type !== 'atomic');
    this.#protections.push(
      (key) => from <= key && key < to && !operations.some((operation) => covers(operation, key)),
    );
  }

  #isUnreadable(key: string): boolean {
    let isUnreadable = false;
    for (const { operation, isVersionKnown } of this.#operations) {
      if (operation.type !== 'atomic') {
        if (covers(operation, key)) isUnreadable = false;
      } else if (operation.atomic === 'SET_VERSIONSTAMPED_VALUE') {
        if (covers(operation, key)) isUnreadable = true;
      } else if (operation.atomic === 'SET_VERSIONSTAMPED_KEY') {
        const [lowest, highest] = stampedBounds(operation.key, isVersionKnown);
        if (lowest <= key && key <= highest) isUnreadable = true;
      }
    }
    return isUnreadable;
  }
}

function stampedBounds(template: Uint8Array, isVersionKnown: boolean): [string, string] {
  const version = String.fromCharCode(isVersionKnown ? VERSION + 1 : 1);
  return [stampedWith(template, `\0\0\0\0\0\0\0${version}\0\0`), stampedWith(template, '\xff'.repeat(10))];
}

function covers(operation: Operation, key: string): boolean {
  if (operation.type !== 'clearRange') return bytesToLatin1(operation.key) === key;
  return bytesToLatin1(operation.begin) <= key && key < bytesToLatin1(operation.end);
}

/** Every key at which anything may begin or end. */
function probesOf(state: State, script: readonly Step[]): string[] {
  const probes = [...state.keys()];
  for (const step of script) {
    const part = step.type === 'write' ? step.operation : step;
    if ('key' in part) probes.push(bytesToLatin1(part.key));
    else probes.push(bytesToLatin1(part.begin), bytesToLatin1(part.end));
    if ('atomic' in part && part.atomic === 'SET_VERSIONSTAMPED_KEY') {
      probes.push(...stampedBounds(part.key, true), stampedBounds(part.key, false)[0]);
    }
  }
  return [...new Set(['', ...probes.flatMap((key) => [key, `${key}\0`])])].sort();
}

function contains(list: readonly KeyRange[], key: string): boolean {
  return list.some(({ begin, end }) => bytesToLatin1(begin) <= key && key < bytesToLatin1(end));
}

const scripts = steps(
  fc.oneof({ weight: 7, arbitrary: readableOperations }, { weight: 1, arbitrary: stampedOperations }),
);

test('reads and their conflict ranges equal the oracle', async () => {
  await fc.assert(
    fc.asyncProperty(states, scripts, fc.integer({ min: 1, max: 5 }), async (state, script, pagePairsMax) => {
      const { results, isVersionKnown, readRanges, writeRanges } = await run(state, script, pagePairsMax);
      const probes = probesOf(state, script);
      const oracle = new Oracle(state);
      for (const [at, step] of script.entries()) {
        expect(results[at]).toEqual(oracle.step(step, isVersionKnown[at], probes));
      }
      for (const key of probes) {
        expect([key, contains(readRanges, key)]).toEqual([key, oracle.mustProtect(key)]);
        expect([key, contains(writeRanges, key)]).toEqual([key, oracle.isWritten(key)]);
      }
      for (const list of [readRanges, writeRanges]) {
        const bounds = list.flatMap(({ begin, end }) => [bytesToLatin1(begin), bytesToLatin1(end)]);
        expect(bounds).toEqual([...new Set(bounds)].sort());
      }
    }),
    { numRuns: 3000 },
  );
});

test('no change of the snapshot outside of the conflict ranges changes a result', async () => {
  const serializable = scripts.map((script) => script.map((step) => ({ ...step, snapshot: false })));
  await fc.assert(
    fc.asyncProperty(
      states,
      serializable,
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(values),
      async (state, script, pagePairsMax, stream) => {
        const { results, readRanges } = await run(state, script, pagePairsMax);
        const changed = new Map(state);
        for (const key of probesOf(state, script)) {
          if (contains(readRanges, key)) continue;
          const value = bytesToLatin1(stream.next().value as Uint8Array);
          if (value.length < 2) changed.delete(key);
          else changed.set(key, value);
        }
        expect((await run(changed, script, pagePairsMax)).results).toEqual(results);
      },
    ),
    { numRuns: 1000 },
  );
});
