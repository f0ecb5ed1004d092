import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVersion, emptyVersion } from '../../src/index/base-version.ts';
import { DictionaryBuilder } from '../../src/index/dictionary-segment.ts';
import { digestVersion } from '../../src/index/digest.ts';
import { keyOfValue } from '../../src/index/key.ts';
import { fieldStatistics } from '../../src/index/statistics.ts';
import { ascending, buildAlive, buildFilter, buildSort, definitionOf, fieldOf } from './model.ts';

const definition = definitionOf([
  fieldOf('type', 'string', 'filter'),
  fieldOf('score', 'int32', 'filter sort'),
  fieldOf('hasMeta', 'boolean', 'filter'),
]);

interface Content {
  alive: Set<number>;
  type: Map<string, Set<number>>;
  score: Map<number, number>;
  hasMeta: Map<boolean, Set<number>>;
}

const slot = fc.oneof(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 0xffffffff }));
const slots = fc.uniqueArray(slot, { maxLength: 20 }).map((all) => new Set(all));
const text = fc.oneof(fc.string(), fc.constantFrom('', '\uffff', '😀', 'image', 'video'));
const content: fc.Arbitrary<Content> = fc.record({
  alive: slots,
  type: fc.array(fc.tuple(text, slots), { maxLength: 6 }).map((entries) => new Map(entries)),
  score: fc
    .array(fc.tuple(slot, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), { maxLength: 20 })
    .map((entries) => new Map(entries)),
  hasMeta: fc.tuple(slots, slots).map(
    ([no, yes]) =>
      new Map([
        [false, no],
        [true, yes],
      ]),
  ),
});

/** The version of a content; `spare` strings come first in the dictionary and shift every code. */
function versionOf({ alive, type, score, hasMeta }: Content, spare: number) {
  const dictionary = new DictionaryBuilder();
  const code = (text: string) => dictionary.add(Buffer.from(text), 0, Buffer.byteLength(text));
  for (let i = 0; i < spare; i++) code(`spare ${i}`);
  const texts = spare % 2 === 0 ? [...type.keys()] : [...type.keys()].reverse();
  const typeKeys = new Map(texts.map((text) => [code(text), type.get(text)!]));
  const scoreKeys = new Map(Array.from(score, ([slot, value]) => [slot, keyOfValue('int32', value)]));
  const scoreFilter = new Map<number, Set<number>>();
  for (const [slot, key] of scoreKeys) scoreFilter.set(key, (scoreFilter.get(key) ?? new Set()).add(slot));
  return createVersion({
    id: spare,
    definition,
    segments: {
      alive: buildAlive(alive),
      fields: {
        type: { filter: buildFilter(typeKeys), dictionary: dictionary.finish() },
        score: { filter: buildFilter(scoreFilter), sort: buildSort(scoreKeys) },
        hasMeta: {
          filter: buildFilter(new Map(Array.from(hasMeta, ([v, s]) => [keyOfValue('boolean', v), s]))),
        },
      },
    },
  });
}

/** The format of the header comment of digest.ts, written a second time and as plainly as possible. */
function digestPlainly({ alive, type, score, hasMeta }: Content) {
  const hash = (parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest('hex');
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const counted = (all: Iterable<number>) => {
    const sorted = ascending(all);
    return [u64(sorted.length), ...Array.from(sorted, u32)];
  };
  const filter = (values: [string, Iterable<number>][]) =>
    hash(
      values.flatMap(([value, all]) => {
        const list = [...all];
        if (list.length === 0) return [];
        return [u32(Buffer.byteLength(value)), Buffer.from(value), ...counted(list)];
      }),
    );
  const byScore = [...new Set(score.values())].sort((a, b) => a - b);
  const scored = ascending(score.keys());
  const fields = {
    hasMeta: {
      filter: filter([
        ['false', hasMeta.get(false)!],
        ['true', hasMeta.get(true)!],
      ]),
    },
    score: {
      filter: filter(
        byScore.map((value) => [
          String(value),
          [...score.keys()].filter((slot) => score.get(slot) === value),
        ]),
      ),
      sort: hash([
        u64(scored.length),
        ...Array.from(scored, (slot) => [u32(slot), u32(score.get(slot)! + 2 ** 31)]).flat(),
        ...Array.from({ length: 32 }, (_, bit) => {
          const layer = scored.filter((slot) => ((score.get(slot)! + 2 ** 31) >>> bit) & 1);
          return layer.length === 0 ? [] : [u32(bit), ...counted(layer)];
        }).flat(),
      ]),
    },
    type: {
      filter: filter([...type].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
    },
  };
  const aliveHex = hash(counted(alive));
  const lines = `alive ${aliveHex}\nfilter hasMeta ${fields.hasMeta.filter}\nfilter score ${fields.score.filter}\nsort score ${fields.score.sort}\nfilter type ${fields.type.filter}\n`;
  return { index: hash([Buffer.from(lines)]), alive: aliveHex, fields };
}

test('the digest follows its written format, whatever the dictionary codes', () => {
  fc.assert(
    fc.property(content, fc.integer({ min: 0, max: 3 }), (all, spare) => {
      expect(digestVersion(versionOf(all, spare))).toEqual(digestPlainly(all));
    }),
    { numRuns: 60 },
  );
});

test('large bitmaps are hashed in batches to the same digest', () => {
  const many = new Set(Array.from({ length: 70_000 }, (_, i) => i * 3));
  const all: Content = {
    alive: many,
    type: new Map([['x', many]]),
    score: new Map(Array.from(many, (slot) => [slot, slot - 100_000])),
    hasMeta: new Map([
      [false, new Set()],
      [true, many],
    ]),
  };
  // The filter of `score` would be 70,000 values; its slots are enough here.
  all.score = new Map([...all.score].map(([slot, value]) => [slot, value & ~0x3fff]));
  expect(digestVersion(versionOf(all, 0))).toEqual(digestPlainly(all));
});

test('an empty version has the digest of empty content', () => {
  const nothing: Content = {
    alive: new Set(),
    type: new Map(),
    score: new Map(),
    hasMeta: new Map([
      [false, new Set()],
      [true, new Set()],
    ]),
  };
  expect(digestVersion(emptyVersion(1, definition))).toEqual(digestPlainly(nothing));
});

test('slots with a value count as within alive only when all of them are', () => {
  const version = versionOf(
    {
      alive: new Set([1, 2]),
      type: new Map([
        ['a', new Set([1])],
        ['b', new Set([2])],
      ]),
      score: new Map([
        [1, 5],
        [3, -5],
      ]),
      hasMeta: new Map([
        [false, new Set([2])],
        [true, new Set()],
      ]),
    },
    0,
  );
  expect([version.withinAlive('type'), version.withinAlive('score'), version.withinAlive('hasMeta')]).toEqual(
    [true, false, true],
  );
  expect(fieldStatistics(version)).toMatchObject([
    { name: 'type', values: 2, present: 2, strings: 2 },
    { name: 'score', values: 2, present: 2, layers: 32 },
    { name: 'hasMeta', values: 1, present: 1 },
  ]);
});
