import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVersion } from '../../src/index/base-version.ts';
import { compact } from '../../src/index/compact.ts';
import { DeltaEditor, type DeltaVersion, withoutChanges } from '../../src/index/delta-version.ts';
import { DictionaryBuilder } from '../../src/index/dictionary-segment.ts';
import { digestVersion } from '../../src/index/digest.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import {
  ascending,
  buildAlive,
  buildFilter,
  buildSort,
  definitionOf,
  type FilterModel,
  fieldOf,
  type SortModel,
  sameBytes,
  transposeNaively,
} from './model.ts';

const definition = definitionOf([
  fieldOf('tagIds', 'uint32', 'filter', true),
  fieldOf('type', 'string', 'filter'),
  fieldOf('score', 'uint32', 'sort'),
]);

interface Model {
  alive: Set<number>;
  tagIds: FilterModel;
  /** By the order of first appearance: the codes. */
  texts: string[];
  type: FilterModel;
  score: SortModel;
}

const slot = fc.oneof(
  fc.integer({ min: 0, max: 15 }),
  fc.integer({ min: 65_530, max: 65_545 }),
  fc.constantFrom(0xffff0000, 0xffffffff),
);
const slots = fc.oneof(
  fc.uniqueArray(slot, { maxLength: 8 }),
  // More than the small values hold, over two pages.
  fc.integer({ min: 0, max: 3 }).map((from) => Array.from({ length: 400 }, (_, i) => 65_300 + from + i)),
);

/** Makes slots members (`on`) of a key, or gives them a key; all at once (`bulk`) or one by one. */
const op = fc.record({
  field: fc.constantFrom('alive', 'tagIds', 'type', 'score'),
  slots: fc.oneof(
    slot.map((slot) => [slot]),
    slots,
  ),
  bulk: fc.boolean(),
  on: fc.boolean(),
  tag: fc.integer({ min: 0, max: 4 }),
  text: fc.constantFrom('', 'image', 'video', 'ä', '👍'),
  key: fc.oneof(fc.constantFrom(0, 1, 7, 0xffffffff), fc.integer({ min: 0, max: 1000 })),
});
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

function emptyModel(): Model {
  return { alive: new Set(), tagIds: new Map(), texts: [], type: new Map(), score: new Map() };
}

function applyToModel(model: Model, op: Op): void {
  if (op.field === 'type' && !model.texts.includes(op.text)) model.texts.push(op.text);
  for (const slot of op.slots) {
    if (op.field === 'score') {
      if (op.on) model.score.set(slot, op.key);
      else model.score.delete(slot);
    } else {
      let members = model.alive;
      if (op.field === 'tagIds') members = setOf(model.tagIds, op.tag);
      if (op.field === 'type') members = setOf(model.type, model.texts.indexOf(op.text));
      if (op.on) members.add(slot);
      else members.delete(slot);
    }
  }
}

function applyToEditor(editor: DeltaEditor, op: Op): void {
  const key = op.field === 'type' ? editor.keyOfText('type', op.text)! : op.tag;
  if (op.bulk) {
    const slots = new RoaringBitmap32(op.slots);
    if (op.field === 'score') editor.sort('score').setMany(slots, op.on ? op.key : null);
    else if (op.field === 'alive' && op.on) editor.addManyAlive(slots);
    else if (op.field === 'alive') editor.removeManyAlive(slots);
    else if (op.on) editor.filter(op.field).addMany(key, slots);
    else editor.filter(op.field).removeMany(key, slots);
    return;
  }
  for (const slot of op.slots) {
    if (op.field === 'score') editor.sort('score').set(slot, op.on ? op.key : null);
    else if (op.field === 'alive' && op.on) editor.addAlive(slot);
    else if (op.field === 'alive') editor.removeAlive(slot);
    else if (op.on) editor.filter(op.field).add(key, slot);
    else editor.filter(op.field).remove(key, slot);
  }
}

function setOf(field: FilterModel, key: number): Set<number> {
  let set = field.get(key);
  if (set === undefined) {
    set = new Set();
    field.set(key, set);
  }
  return set;
}

function buildSegments(model: Model) {
  const dictionary = new DictionaryBuilder();
  for (const text of model.texts) dictionary.add(Buffer.from(text), 0, Buffer.byteLength(text));
  return {
    alive: buildAlive(model.alive),
    fields: {
      tagIds: { filter: buildFilter(model.tagIds) },
      type: { filter: buildFilter(model.type), dictionary: dictionary.finish() },
      score: { sort: buildSort(model.score) },
    },
  };
}

function expectEqual(version: DeltaVersion, model: Model): void {
  expect(sameBytes(version.alive.toUint32Array(), ascending(model.alive))).toBe(true);
  expect(version.aliveCount).toBe(model.alive.size);
  expectFilter(version, 'tagIds', model.tagIds);
  expectFilter(version, 'type', model.type);
  expectSort(version, model.score);
  const dictionary = version.dictionary('type')!;
  expect(dictionary.size).toBe(model.texts.length);
  for (const [code, text] of model.texts.entries()) {
    expect(dictionary.textOf(code)).toBe(text);
    expect(dictionary.codeOf(text)).toBe(code);
  }
  expect(() => dictionary.textOf(model.texts.length)).toThrow(RangeError);
  for (const text of ['', 'image', 'video', 'ä', '👍']) {
    if (!model.texts.includes(text)) expect(dictionary.codeOf(text)).toBeUndefined();
  }
}

function expectFilter(version: DeltaVersion, name: string, model: FilterModel): void {
  const field = version.filter(name)!;
  const values = [...model].filter(([, slots]) => slots.size > 0).sort(([a], [b]) => a - b);
  expect([...field.keys()]).toEqual(values.map(([key, { size }]) => ({ key, cardinality: size })));
  expect(field.valueCount).toBe(values.length);
  for (let key = 0; key <= 5; key++) {
    const slots = ascending(model.get(key) ?? []);
    expect(field.cardinality(key)).toBe(slots.length);
    expect(sameBytes(field.slots(key), slots)).toBe(true);
    expect(sameBytes(field.bitmap(key).toUint32Array(), slots)).toBe(true);
  }
  const present = new Set(values.flatMap(([, slots]) => [...slots]));
  expect(sameBytes(field.present.toUint32Array(), ascending(present))).toBe(true);
  if (version.withinAlive(name)) expect(field.present.isSubset(version.alive)).toBe(true);
}

function expectSort(version: DeltaVersion, model: SortModel): void {
  const field = version.sort('score')!;
  const slots = ascending(model.keys());
  expect(sameBytes(field.present.toUint32Array(), slots)).toBe(true);
  const keys = new Uint32Array(slots.length);
  field.gather(slots, keys, slots.length);
  expect(keys).toEqual(Uint32Array.from(slots, (slot) => model.get(slot)!));
  for (let bit = 0; bit < 32; bit++) {
    const layer = field.layer(bit).toUint32Array();
    expect(layer).toEqual(slots.filter((slot) => (model.get(slot)! >>> bit) & 1));
    if (bit >= field.layerCount) expect(layer).toHaveLength(0);
  }
  const pages = field.pages();
  expect([...pages.pageKeys]).toEqual([...new Set(Array.from(slots, (slot) => slot >>> 16))]);
  for (const slot of slots) {
    const page = pages.pageKeys.indexOf(slot >>> 16);
    const key = model.get(slot)!;
    expect(field.keyOf(slot)).toBe(key);
    for (const [min, max] of [
      [pages.keyMins[page], pages.keyMaxs[page]],
      [field.keyMin, field.keyMax],
    ]) {
      expect(key >= min && key <= max).toBe(true);
    }
  }
  if (version.withinAlive('score')) expect(field.present.isSubset(version.alive)).toBe(true);
}

test('a version after changes reads as the model, the versions before it stay, and compacting gives the same bytes', () => {
  fc.assert(
    fc.property(
      fc.array(op, { maxLength: 25 }),
      fc.array(fc.array(op, { maxLength: 8 }), { minLength: 1, maxLength: 6 }),
      (initial, batches) => {
        const model = emptyModel();
        for (const op of initial) applyToModel(model, op);
        let version = withoutChanges(createVersion({ id: 0, definition, segments: buildSegments(model) }));
        const versions: [DeltaVersion, Model][] = [[version, structuredClone(model)]];
        for (const [i, batch] of batches.entries()) {
          const editor = new DeltaEditor(version);
          for (const op of batch) {
            applyToModel(model, op);
            applyToEditor(editor, op);
          }
          version = editor.finish(i + 1);
          versions.push([version, structuredClone(model)]);
        }
        for (const [version, model] of versions) expectEqual(version, model);
        const direct = buildSegments(model);
        const compacted = compact(version, transposeNaively);
        expect(sameBytes(compacted.alive, direct.alive)).toBe(true);
        expect(sameBytes(compacted.fields.tagIds.filter!, direct.fields.tagIds.filter)).toBe(true);
        expect(sameBytes(compacted.fields.type.filter!, direct.fields.type.filter)).toBe(true);
        expect(sameBytes(compacted.fields.type.dictionary!, direct.fields.type.dictionary)).toBe(true);
        expect(sameBytes(compacted.fields.score.sort!, direct.fields.score.sort)).toBe(true);
        const digest = digestVersion(createVersion({ id: 9, definition, segments: direct }));
        expect(digestVersion(version)).toEqual(digest);
      },
    ),
    { numRuns: 25 },
  );
});

test('compacting takes over the segments of fields without changes', () => {
  const model = emptyModel();
  const slots = [1, 2, 3];
  const op: Op = { field: 'tagIds', slots, bulk: false, on: true, tag: 1, text: 'image', key: 5 };
  for (const field of ['tagIds', 'score', 'type'] as const) applyToModel(model, { ...op, field });
  const base = createVersion({ id: 1, definition, segments: buildSegments(model) });
  const editor = new DeltaEditor(withoutChanges(base));
  editor.filter('tagIds').add(1, 9);
  const compacted = compact(editor.finish(2), transposeNaively);
  expect(compacted.alive).toBe(base.segments.alive);
  expect(compacted.fields.score.sort).toBe(base.segments.fields.score.sort);
  expect(compacted.fields.type.filter).toBe(base.segments.fields.type.filter);
  expect(compacted.fields.type.dictionary).toBe(base.segments.fields.type.dictionary);
  expect(compacted.fields.tagIds.filter).not.toBe(base.segments.fields.tagIds.filter);
});

test('a field stays within alive while its slots are, and keys untouched by a change keep their bitmap', () => {
  const model = emptyModel();
  model.alive = new Set([1, 2, 3]);
  model.tagIds = new Map([
    [1, new Set([1, 2])],
    [2, new Set([3])],
  ]);
  const base = withoutChanges(createVersion({ id: 1, definition, segments: buildSegments(model) }));
  expect(base.withinAlive('tagIds')).toBe(true);
  let editor = new DeltaEditor(base);
  editor.filter('tagIds').add(1, 4);
  const outside = editor.finish(2);
  expect(outside.withinAlive('tagIds')).toBe(false);
  expect(outside.withinAlive('score')).toBe(true);
  editor = new DeltaEditor(base);
  editor.addAlive(4);
  editor.filter('tagIds').add(1, 4);
  const inside = editor.finish(2);
  expect(inside.withinAlive('tagIds')).toBe(true);
  editor = new DeltaEditor(inside);
  editor.filter('tagIds').add(2, 1);
  const next = editor.finish(3);
  expect(next.filter('tagIds')!.bitmap(1)).toBe(inside.filter('tagIds')!.bitmap(1));
  editor = new DeltaEditor(inside);
  expect(editor.isAlive(4)).toBe(true);
  editor.removeAlive(4);
  expect(editor.isAlive(4)).toBe(false);
  expect(editor.finish(3).withinAlive('tagIds')).toBe(false);
});

test('an unknown field and a text without a UTF-8 form are refused', () => {
  const editor = new DeltaEditor(
    withoutChanges(createVersion({ id: 1, definition, segments: buildSegments(emptyModel()) })),
  );
  expect(() => editor.filter('score')).toThrow('no such index of field score');
  expect(() => editor.sort('nothing')).toThrow('no such index of field nothing');
  expect(editor.keyOfText('type', '\ud800')).toBeUndefined();
});
