/**
 * Where an index and the naive model part: the first differing field, value and slot, found through public queries.
 * Digests say whether there is a difference, so the search only runs when there is one.
 */
import { TAKE_MAX } from '../limits.ts';
import type { Where } from '../query/where.ts';
import { digestOfModel, valuesInOrder } from './naive-digest.ts';
import type { ModelField, ModelValue, NaiveModel } from './naive-model.ts';
import { NaiveQueries } from './naive-query.ts';
import { type ReadableIndex, readPages } from './paging.ts';

export interface Difference {
  readonly part: 'alive' | 'filter' | 'sort';
  /** Null for `alive`. */
  readonly field: string | null;
  /** In the model; null where the difference belongs to no value of it. */
  readonly value: ModelValue | null;
  /** Null where queries cannot tell. */
  readonly slot: number | null;
  readonly message: string;
}

/** The first difference in the order alive, then fields by name; null when every digest agrees. */
export async function findDifference(index: ReadableIndex, model: NaiveModel): Promise<Difference | null> {
  const actual = (await index.stats({ digest: true })).digest!;
  const expected = digestOfModel(model);
  if (actual.index === expected.index) return null;
  if (actual.alive !== expected.alive) return findAlive(index, model);
  for (const [name, parts] of Object.entries(expected.fields)) {
    const field = model.fields.get(name)!;
    if (parts.filter !== actual.fields[name]?.filter) return findInFilter(index, model, field);
    if (parts.sort !== actual.fields[name]?.sort) return findInSort(index, model, field);
  }
  return difference('alive', null, null, null, 'the digests of all parts agree but not that of the index');
}

async function findAlive(index: ReadableIndex, model: NaiveModel): Promise<Difference> {
  const expected = Uint32Array.from(model.alive).sort();
  const found = firstMismatch(expected, await allSlots(index, {}));
  return difference('alive', null, null, found?.slot ?? null, describe(found, 'the slot is', 'alive'));
}

async function findInFilter(index: ReadableIndex, model: NaiveModel, field: ModelField): Promise<Difference> {
  const { name } = field.definition;
  for (const value of valuesInOrder(field)) {
    const expected = field.slotsOfValue.get(value)!.filter((slot) => model.alive.has(slot));
    const found = firstMismatch(expected, await allSlots(index, { [name]: value }));
    if (found === null) continue;
    return difference('filter', name, value, found.slot, describe(found, 'the slot has', 'the value'));
  }
  const present = new NaiveQueries(model).ordered({ [name]: { isNull: false } });
  const found = firstMismatch(present, await allSlots(index, { [name]: { isNull: false } }));
  if (found !== null)
    return difference('filter', name, null, found.slot, describe(found, 'the slot has', 'a value'));
  const message =
    'every value of the model agrees among alive slots: the index has further values, or slots not alive';
  return difference('filter', name, null, null, message);
}

/** By order first, then by the counts up to each value, since order alone does not show values that are shifted. */
async function findInSort(index: ReadableIndex, model: NaiveModel, field: ModelField): Promise<Difference> {
  const { name } = field.definition;
  const expected = new NaiveQueries(model).ordered({}, { [name]: 'asc' });
  const actual = await readPages(
    index,
    { orderBy: { [name]: 'asc' }, take: TAKE_MAX },
    Number.POSITIVE_INFINITY,
  );
  const place = expected.findIndex((slot, position) => slot !== actual[position]);
  if (place >= 0) {
    const slot = expected[place];
    const value = field.valueOfSlot.get(slot) ?? null;
    const message = `in ascending order it is number ${place + 1}; there the index has slot ${actual[place]}`;
    return difference('sort', name, value, slot, message);
  }
  let below = 0;
  for (const value of valuesInOrder(field)) {
    const slots = field.slotsOfValue.get(value)!.filter((slot) => model.alive.has(slot));
    below += slots.length;
    const count = await index.count({ [name]: { lte: value } });
    if (count === below) continue;
    const message = `${below} slots have at most this value in the model, ${count} in the index`;
    return difference('sort', name, value, slots[0] ?? null, message);
  }
  return difference(
    'sort',
    name,
    null,
    null,
    'the order agrees among alive slots; the difference is beyond them',
  );
}

interface Mismatch {
  readonly slot: number;
  readonly expected: boolean;
}

/** The smallest slot that only one of two ascending lists has. */
function firstMismatch(expected: Uint32Array, actual: readonly number[]): Mismatch | null {
  for (let at = 0; at < Math.max(expected.length, actual.length); at++) {
    const wanted = expected[at] ?? Number.POSITIVE_INFINITY;
    const got = actual[at] ?? Number.POSITIVE_INFINITY;
    if (wanted !== got) return { slot: Math.min(wanted, got), expected: wanted < got };
  }
  return null;
}

function describe(found: Mismatch | null, verb: string, what: string): string {
  if (found === null) return 'queries show no difference';
  return `${verb} ${what} in the ${found.expected ? 'model only' : 'index only'}`;
}

function allSlots(index: ReadableIndex, where: Where): Promise<number[]> {
  return readPages(index, { where, take: TAKE_MAX }, Number.POSITIVE_INFINITY);
}

function difference(
  part: Difference['part'],
  field: string | null,
  value: ModelValue | null,
  slot: number | null,
  message: string,
): Difference {
  return { part, field, value, slot, message };
}

/** One line: `filter tagIds, value 12, slot 77: the slot has the value in the model only`. */
export function formatDifference(found: Difference): string {
  const place = [found.field === null ? found.part : `${found.part} ${found.field}`];
  if (found.value !== null) place.push(`value ${JSON.stringify(found.value)}`);
  if (found.slot !== null) place.push(`slot ${found.slot}`);
  return `${place.join(', ')}: ${found.message}`;
}
