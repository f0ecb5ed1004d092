import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVersion } from '../../src/index/base-version.ts';
import { DeltaVersion } from '../../src/index/delta-version.ts';
import { DictionaryBuilder } from '../../src/index/dictionary-segment.ts';
import { digestVersion } from '../../src/index/digest.ts';
import { RoaringBitmap32 } from '../../src/index/roaring.ts';
import type { SegmentBytes } from '../../src/index/segment.ts';
import { SegmentMemory } from '../../src/index/segment-memory.ts';
import type { VersionSegments } from '../../src/index/version.ts';
import type { PoolTask } from '../../src/load/chunk-messages.ts';
import { compactVersion } from '../../src/load/compact.ts';
import runTask from '../../workers/chunk.ts';
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
} from './model.ts';
import { buildInUsedMemory } from './used-memory.ts';

const definition = definitionOf([
  fieldOf('tagIds', 'uint32', 'filter', true),
  fieldOf('type', 'string', 'filter'),
  fieldOf('score', 'uint32', 'sort'),
]);

const TAG_IDS = 0;
const TYPE = 1;
const SCORE = 2;

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

/** One statement about each of some slots; all at once (`bulk`) or one by one. */
const op = fc.record({
  kind: fc.constantFrom('alive', 'delete', 'add', 'remove', 'set', 'clear', 'read'),
  field: fc.constantFrom(TAG_IDS, TYPE, SCORE),
  slots: fc.oneof(
    slot.map((slot) => [slot]),
    slots,
  ),
  bulk: fc.boolean(),
  tag: fc.integer({ min: 0, max: 4 }),
  text: fc.constantFrom('', 'image', 'video', 'ä', '👍'),
  key: fc.oneof(fc.constantFrom(0, 1, 7, 0xffffffff), fc.integer({ min: 0, max: 1000 })),
});
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

function emptyModel(): Model {
  return { alive: new Set(), tagIds: new Map(), texts: [], type: new Map(), score: new Map() };
}

function applyToModel(model: Model, op: Op): void {
  const isValue = op.kind === 'set' || op.kind === 'add' || op.kind === 'remove';
  if (isValue && op.field === TYPE && !model.texts.includes(op.text)) model.texts.push(op.text);
  for (const slot of op.slots) {
    if (op.kind === 'alive') model.alive.add(slot);
    if (op.kind === 'delete') {
      model.alive.delete(slot);
      for (let field = 0; field < 3; field++) clearInModel(model, slot, field);
    }
    if (op.kind === 'clear') clearInModel(model, slot, op.field);
    if (!isValue) continue;
    const key = keyOfOp(op, model.texts);
    if (op.kind === 'remove') {
      if (op.field === TAG_IDS) model.tagIds.get(key)?.delete(slot);
      if (op.field === TYPE) model.type.get(key)?.delete(slot);
      if (op.field === SCORE && model.score.get(slot) === key) model.score.delete(slot);
      continue;
    }
    if (op.field !== TAG_IDS) clearInModel(model, slot, op.field);
    if (op.field === SCORE) model.score.set(slot, key);
    else setOf(op.field === TYPE ? model.type : model.tagIds, key).add(slot);
  }
}

function clearInModel(model: Model, slot: number, field: number): void {
  if (field === SCORE) model.score.delete(slot);
  else for (const members of (field === TYPE ? model.type : model.tagIds).values()) members.delete(slot);
}

function keyOfOp(op: Op, texts: readonly string[]): number {
  if (op.field === TYPE) return texts.indexOf(op.text);
  return op.field === SCORE ? op.key : op.tag;
}

function applyToVersion(version: DeltaVersion, op: Op): void {
  const { field, kind } = op;
  if (kind === 'read') {
    // What readers leave behind must not go stale.
    version.sort('score')!.layer(op.tag);
    version.filter('type')!.bitmap(op.tag);
    version.filter('tagIds')!.bitmap(op.tag);
    expect(version.filter('tagIds')!.present.size).toBeLessThanOrEqual(
      version.filter('tagIds')!.presentCountMax,
    );
    return;
  }
  const isValue = kind === 'set' || kind === 'add' || kind === 'remove';
  let key = field === SCORE ? op.key : op.tag;
  if (isValue && field === TYPE) key = version.keyOfText(TYPE, op.text);
  const single = field !== TAG_IDS;
  if (op.bulk) {
    const slots = new RoaringBitmap32(op.slots);
    if (kind === 'alive') for (const slot of op.slots) version.addAlive(slot);
    else if (kind === 'delete') version.deleteAll(slots);
    else if (kind === 'clear') version.clearAll(slots, field);
    else if (kind === 'remove') version.removeAll(slots, field, key);
    else if (single) version.setAll(slots, field, key);
    else version.addAll(slots, field, key);
    expect(slots.size).toBe(op.slots.length);
    return;
  }
  for (const slot of op.slots) {
    if (kind === 'alive') version.addAlive(slot);
    else if (kind === 'delete') version.deleteSlot(slot);
    else if (kind === 'clear') version.clear(slot, field);
    else if (kind === 'remove') version.remove(slot, field, key);
    else if (single) version.set(slot, field, key);
    else version.add(slot, field, key);
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

function compact(version: DeltaVersion): Promise<VersionSegments> {
  return compactVersion(version.base, version.changes(), new SegmentMemory(), async (task) => {
    if (task.kind === 'compactDictionary') return run(task);
    const { compaction } = task;
    return buildInUsedMemory((memory) => run({ ...task, compaction: { ...compaction, memory } } as PoolTask));
  });

  async function run(task: PoolTask): Promise<SegmentBytes> {
    const outcome = await runTask(task);
    if (!outcome.ok) throw new Error(outcome.error.message);
    return outcome.value as SegmentBytes;
  }
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
  for (const slot of slots) expect(pages.pageKeys).toContain(slot >>> 16);
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

const initialOps = fc.array(op, { maxLength: 25 });
const batches = fc.array(fc.array(op, { maxLength: 8 }), { minLength: 1, maxLength: 6 });

test('a version after changes reads as the model, and compacting gives the bytes of a direct build', async () => {
  await fc.assert(
    fc.asyncProperty(initialOps, batches, async (initial, batches) => {
      const model = emptyModel();
      for (const op of initial) applyToModel(model, op);
      let version = new DeltaVersion(createVersion({ id: 0, definition, segments: buildSegments(model) }));
      for (const batch of batches) {
        for (const op of batch) {
          applyToModel(model, op);
          applyToVersion(version, op);
        }
        expectEqual(version, model);
      }
      const direct = buildSegments(model);
      const digest = digestVersion(createVersion({ id: 9, definition, segments: direct }));
      expect(digestVersion(version)).toEqual(digest);
      const compacted = await compact(version);
      expectSameSegments(compacted, direct);
      // A second time over what the first one made.
      version = new DeltaVersion(createVersion({ id: 1, definition, segments: compacted }));
      for (const op of initial) {
        applyToModel(model, op);
        applyToVersion(version, op);
      }
      expectEqual(version, model);
      expectSameSegments(await compact(version), buildSegments(model));
    }),
    { numRuns: 40 },
  );
});

test('compacting takes over the segments of fields without changes', async () => {
  const version = new DeltaVersion(
    createVersion({ id: 1, definition, segments: buildSegments(smallModel()) }),
  );
  const { segments } = version;
  version.add(9, TAG_IDS, 1);
  const compacted = await compact(version);
  expect(compacted.alive).toBe(segments.alive);
  expect(compacted.fields.score.sort).toBe(segments.fields.score.sort);
  expect(compacted.fields.type.filter).toBe(segments.fields.type.filter);
  expect(compacted.fields.type.dictionary).toBe(segments.fields.type.dictionary);
  expect(compacted.fields.tagIds.filter).not.toBe(segments.fields.tagIds.filter);
});

test('a field stays within alive while its slots are', () => {
  const version = new DeltaVersion(
    createVersion({ id: 1, definition, segments: buildSegments(smallModel()) }),
  );
  expect(version.withinAlive('tagIds')).toBe(true);
  version.addAlive(4);
  version.add(4, TAG_IDS, 1);
  expect(version.withinAlive('tagIds')).toBe(true);
  version.deleteSlot(1);
  version.deleteAll(new RoaringBitmap32([2]));
  expect(version.withinAlive('tagIds')).toBe(true);
  version.add(1, TAG_IDS, 1);
  expect(version.withinAlive('tagIds')).toBe(false);
  expect(version.withinAlive('score')).toBe(true);
  version.setAll(new RoaringBitmap32([2, 3]), SCORE, 1);
  expect(version.withinAlive('score')).toBe(false);
});

test('a change of one slot in a large value does not copy what nobody reads', () => {
  const model = smallModel();
  model.tagIds.set(1, new Set(Array.from({ length: 1000 }, (_, slot) => slot)));
  const version = new DeltaVersion(createVersion({ id: 1, definition, segments: buildSegments(model) }));
  version.add(5000, TAG_IDS, 2);
  expect(version.filter('tagIds')!.bitmap(1)).toBe(version.base.filter('tagIds')!.bitmap(1));
  version.add(5000, TAG_IDS, 1);
  const bitmap = version.filter('tagIds')!.bitmap(1);
  expect(bitmap).not.toBe(version.base.filter('tagIds')!.bitmap(1));
  version.remove(5000, TAG_IDS, 1);
  expect(version.filter('tagIds')!.bitmap(1)).toBe(bitmap);
  expect(bitmap.size).toBe(1000);
});

function smallModel(): Model {
  const model = emptyModel();
  model.alive = new Set([1, 2, 3]);
  model.tagIds = new Map([
    [1, new Set([1, 2])],
    [2, new Set([3])],
  ]);
  model.texts = ['image'];
  model.type = new Map([[0, new Set([1])]]);
  model.score = new Map([[1, 5]]);
  return model;
}

function expectSameSegments(compacted: VersionSegments, direct: ReturnType<typeof buildSegments>): void {
  expect(sameBytes(compacted.alive, direct.alive)).toBe(true);
  expect(sameBytes(compacted.fields.tagIds.filter!, direct.fields.tagIds.filter)).toBe(true);
  expect(sameBytes(compacted.fields.type.filter!, direct.fields.type.filter)).toBe(true);
  expect(sameBytes(compacted.fields.type.dictionary!, direct.fields.type.dictionary)).toBe(true);
  expect(sameBytes(compacted.fields.score.sort!, direct.fields.score.sort)).toBe(true);
}
