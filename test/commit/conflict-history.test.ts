import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToLatin1, keyAfter } from '../../src/commit/byte-order.ts';
import type { KeyRange } from '../../src/commit/commit-storage.ts';
import { ConflictHistory } from '../../src/commit/conflict-history.ts';
import { StepFunction } from '../../src/commit/step-function.ts';
import { ranges } from './operation-fixtures.ts';

/** A list of all writes, never pruned. */
class NaiveHistory {
  readonly #writes: { range: KeyRange; version: number }[] = [];

  record(written: readonly KeyRange[], version: number): void {
    for (const range of written) this.#writes.push({ range, version });
  }

  conflicts(read: readonly KeyRange[], readVersion: number): boolean {
    return this.#writes.some(
      ({ range, version }) => version > readVersion && read.some((other) => overlap(range, other)),
    );
  }
}

function overlap(a: KeyRange, b: KeyRange): boolean {
  const begin = Buffer.compare(a.begin, b.begin) < 0 ? b.begin : a.begin;
  const end = Buffer.compare(a.end, b.end) < 0 ? a.end : b.end;
  return Buffer.compare(begin, end) < 0;
}

type Step =
  | { type: 'record'; ranges: KeyRange[]; versions: number }
  | { type: 'check'; ranges: KeyRange[]; back: number }
  | { type: 'prune'; back: number }
  | { type: 'pruneToSize'; boundariesMax: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('record' as const),
        ranges: fc.array(ranges, { maxLength: 3 }),
        versions: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('check' as const),
        ranges: fc.array(ranges, { maxLength: 2 }),
        back: fc.nat(12),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('prune' as const), back: fc.nat(12) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('pruneToSize' as const),
        boundariesMax: fc.nat(12),
      }),
    },
  ),
  { maxLength: 60 },
);

describe('against a list of all writes', () => {
  test('answers alike; below the floor it never says that there is no conflict', () => {
    fc.assert(
      fc.property(steps, (list) => {
        let version = 100;
        const history = new ConflictHistory(version);
        const naive = new NaiveHistory();
        for (const step of list) {
          const floor = history.floor;
          if (step.type === 'record') {
            version += step.versions;
            history.record(step.ranges, version);
            naive.record(step.ranges, version);
          } else if (step.type === 'check') {
            const readVersion = version - step.back;
            const right = naive.conflicts(step.ranges, readVersion);
            const answer = history.conflicts(step.ranges, readVersion);
            if (readVersion >= floor) expect(answer).toBe(right);
            else if (right) expect(answer).toBe(true);
          } else if (step.type === 'prune') {
            history.prune(version - step.back);
            expect(history.floor).toBe(Math.max(floor, version - step.back));
          } else {
            history.pruneToSize(step.boundariesMax);
            expect(history.boundaryCount).toBeLessThanOrEqual(step.boundariesMax);
            expect(history.floor).toBeLessThanOrEqual(version);
          }
          expect(history.floor).toBeGreaterThanOrEqual(floor);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('over many blocks', () => {
    // 24-bit keys make enough boundaries for blocks to split, empty and go.
    const wide = fc
      .tuple(fc.nat(0xffffff), fc.oneof(fc.constant(1), fc.nat(50), fc.nat(2_000_000)))
      .map(([from, length]) => ({
        begin: numberKey(from),
        end: numberKey(Math.min(from + length, 0xffffff)),
      }));
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.tuple(wide, fc.nat(7000)), { maxLength: 60 }), (seed, checks) => {
        const history = new ConflictHistory(0);
        const naive = new NaiveHistory();
        const random = mulberry(seed);
        let version = 0;
        const recordSome = (count: number, lengthMax: number) => {
          for (let index = 0; index < count; index++) {
            const from = Math.floor(random() * 0xf00000);
            const range = {
              begin: numberKey(from),
              end: numberKey(from + 1 + Math.floor(random() * lengthMax)),
            };
            history.record([range], ++version);
            naive.record([range], version);
          }
        };
        recordSome(3000, 3);
        recordSome(20, 3_000_000 / 20);
        for (const [range] of checks.slice(0, 5)) {
          history.record([range], ++version);
          naive.record([range], version);
        }
        recordSome(500, 100);
        const check = () => {
          for (const [range, readVersion] of checks) {
            if (readVersion < history.floor) continue;
            expect(history.conflicts([range], readVersion)).toBe(naive.conflicts([range], readVersion));
          }
        };
        check();
        history.prune(1500);
        check();
        history.pruneToSize(700);
        expect(history.boundaryCount).toBeLessThanOrEqual(700);
        check();
      }),
      { numRuns: 25 },
    );
  });
});

describe('size', () => {
  const point = (number: number) => ({ begin: numberKey(number), end: keyAfter(numberKey(number)) });

  test('writing the same again takes no more room', () => {
    const history = new ConflictHistory(0);
    for (let version = 1; version <= 1000; version++) history.record([point(version % 10)], version);
    expect(history.boundaryCount).toBe(20);
  });

  test('neighbours of one version are one range', () => {
    const history = new ConflictHistory(0);
    history.record([{ begin: numberKey(5), end: numberKey(6) }], 1);
    history.record([{ begin: numberKey(7), end: numberKey(8) }], 1);
    history.record([{ begin: numberKey(6), end: numberKey(7) }], 1);
    expect(history.boundaryCount).toBe(2);
  });

  test('a wide range swallows what lies in it', () => {
    const history = new ConflictHistory(0);
    for (let version = 1; version <= 3000; version++) history.record([point(version)], version);
    expect(history.boundaryCount).toBe(6000);
    history.record([{ begin: numberKey(0), end: numberKey(0xffffff) }], 3001);
    expect(history.boundaryCount).toBe(2);
  });

  test('pruning to a size forgets the oldest and keeps most of what fits', () => {
    const history = new ConflictHistory(0);
    for (let version = 1; version <= 2000; version++) history.record([point(version)], version);
    history.pruneToSize(4000);
    expect(history.floor).toBe(0);
    history.pruneToSize(1000);
    expect(history.boundaryCount).toBeLessThanOrEqual(1000);
    expect(history.boundaryCount).toBeGreaterThan(800);
    expect(history.floor).toBe(2000 - history.boundaryCount / 2);
    expect(history.conflicts([point(2000)], 1999)).toBe(true);
    history.pruneToSize(0);
    expect(history.boundaryCount).toBe(0);
    expect(history.floor).toBe(2000);
  });
});

test('a step function equals the last assignment to each key, and lists its parts', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(ranges, fc.nat(3)), { maxLength: 30 }), ranges, (assignments, asked) => {
      const steps = new StepFunction();
      for (const [{ begin, end }, value] of assignments) {
        steps.assign(bytesToLatin1(begin), bytesToLatin1(end), value);
      }
      const naiveAt = (key: string) => {
        const last = assignments.findLast(
          ([{ begin, end }]) => bytesToLatin1(begin) <= key && key < bytesToLatin1(end),
        );
        return last === undefined ? 0 : last[1];
      };
      const parts = steps.positiveParts(bytesToLatin1(asked.begin), bytesToLatin1(asked.end));
      expect(parts).toEqual([...new Set(parts)].sort());
      for (const key of probes(assignments.flatMap(([{ begin, end }]) => [begin, end]).concat(asked.begin))) {
        expect(steps.valueAt(key)).toBe(naiveAt(key));
        const isIn = parts.some((part, at) => at % 2 === 0 && part <= key && key < parts[at + 1]);
        const isAsked = bytesToLatin1(asked.begin) <= key && key < bytesToLatin1(asked.end);
        expect(isIn).toBe(isAsked && naiveAt(key) > 0);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a step function of many blocks equals a number for each key', () => {
  const KEYS = 8000;
  const keyOf = (number: number) => bytesToLatin1(numberKey(number));
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = mulberry(seed);
      const below = (count: number) => Math.floor(random() * count);
      const steps = new StepFunction();
      const naive = new Array<number>(KEYS + 1).fill(0);
      const assign = (from: number, length: number, value: number) => {
        const to = Math.min(from + length, KEYS);
        steps.assign(keyOf(from), keyOf(to), value);
        naive.fill(value, from, to);
      };
      const check = () => {
        expect(steps.boundaryCount).toBe(naive.filter((value, at) => value !== (naive[at - 1] ?? 0)).length);
        for (let count = 0; count < 200; count++) {
          const from = below(KEYS);
          const to = Math.min(KEYS, from + below(count % 2 === 0 ? 10 : 2000));
          const threshold = below(8);
          expect(steps.valueAt(keyOf(from))).toBe(naive[from]);
          const isAbove = naive.slice(from, to).some((value) => value > threshold);
          expect(steps.isAbove(keyOf(from), keyOf(to), threshold)).toBe(isAbove);
        }
      };
      for (let round = 0; round < 4; round++) {
        // Few high values, so that the bounds of blocks differ.
        for (let count = 0; count < 2500; count++) assign(below(KEYS), 1 + below(3), below(4));
        for (let count = 0; count < 3; count++) {
          const high = below(KEYS - 3);
          assign(high, 3, 4 + below(4));
          // A wide part from another block on, with its end inside of the high one.
          const from = Math.max(0, high - 900);
          if (count > 0) assign(from, high + 1 - from, below(3));
        }
        for (let count = 0; count < 3; count++) assign(below(KEYS), below(1500), below(3));
        check();
        const threshold = round + 1;
        const boundariesMax = below(1000);
        const enough = steps.valueLeaving(boundariesMax);
        steps.zeroThrough(threshold);
        for (let at = 0; at < KEYS; at++) if (naive[at] <= threshold) naive[at] = 0;
        if (enough <= threshold) expect(steps.boundaryCount).toBeLessThanOrEqual(boundariesMax);
        check();
      }
    }),
    { numRuns: 10 },
  );
});

/** The keys, and those right after them. */
function probes(keys: readonly Uint8Array[]): string[] {
  return keys.flatMap((key) => [bytesToLatin1(key), `${bytesToLatin1(key)}\0`]);
}

function numberKey(number: number): Buffer {
  const key = Buffer.alloc(3);
  key.writeUIntBE(number, 0, 3);
  return key;
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
