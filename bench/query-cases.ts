/**
 * The queries of the bench, each with values drawn from the dump, as a query of the index and as a condition of SQL over
 * the tables images and tags. All SQL parameters are unsigned integers.
 */
import type { Random } from '../src/generate/random.ts';
import type { Query } from '../src/index.ts';
import type { DumpValues } from './dump.ts';

export interface QueryVariant {
  readonly query: Query;
  /** Of the condition, in order. */
  readonly parameters: readonly number[];
}

export interface QueryCase {
  readonly name: string;
  /** SQL condition over images. */
  readonly condition: string;
  /** By existedAt, then id; null: by id. */
  readonly order: 'asc' | 'desc' | null;
  /** The measured page is the one after the page of the variant. */
  readonly secondPage: boolean;
  vary(values: DumpValues, random: Random): QueryVariant;
}

const NSFW_LEVELS = [1, 2, 4, 8, 16, 32];
const LIST_TAGS = 6;
const HAS_TAG = 'id IN (SELECT imageId FROM tags WHERE tagId = ?)';
const NEWEST = { orderBy: { existedAt: 'desc' } } as const;
const FIRST_OF = { order: 'desc', secondPage: false } as const;

export const QUERY_CASES: readonly QueryCase[] = [
  {
    name: 'one tag, by id',
    condition: HAS_TAG,
    order: null,
    secondPage: false,
    vary: ({ tagIds }, random) => {
      const tag = pick(tagIds, random);
      return { query: { where: { tagIds: tag } }, parameters: [tag] };
    },
  },
  {
    ...FIRST_OF,
    name: 'one level, newest',
    condition: 'nsfwLevel = ?',
    vary: (_, random) => {
      const nsfwLevel = pick(NSFW_LEVELS, random);
      return { query: { where: { nsfwLevel }, ...NEWEST }, parameters: [nsfwLevel] };
    },
  },
  {
    name: 'one level, oldest',
    condition: 'nsfwLevel = ?',
    order: 'asc',
    secondPage: false,
    vary: (_, random) => {
      const nsfwLevel = pick(NSFW_LEVELS, random);
      return { query: { where: { nsfwLevel }, orderBy: { existedAt: 'asc' } }, parameters: [nsfwLevel] };
    },
  },
  {
    ...FIRST_OF,
    name: 'one level, second page',
    condition: "nsfwLevel = ? AND type = 'image'",
    secondPage: true,
    vary: (_, random) => {
      const nsfwLevel = pick(NSFW_LEVELS, random);
      return { query: { where: { nsfwLevel, type: 'image' }, ...NEWEST }, parameters: [nsfwLevel] };
    },
  },
  {
    ...FIRST_OF,
    name: 'feed of a user',
    condition: 'userId = ? AND nsfwLevel IN (1, 2)',
    vary: ({ userIds }, random) => {
      const userId = pick(userIds, random);
      return { query: { where: { userId, nsfwLevel: { in: [1, 2] } }, ...NEWEST }, parameters: [userId] };
    },
  },
  {
    ...FIRST_OF,
    name: 'safe images with a tag',
    condition: `${HAS_TAG} AND nsfwLevel = 1 AND type = 'image' AND hasMeta`,
    vary: ({ tagIds }, random) => {
      const tag = pick(tagIds, random);
      const where = { tagIds: tag, nsfwLevel: 1, type: 'image', hasMeta: true };
      return { query: { where, ...NEWEST }, parameters: [tag] };
    },
  },
  {
    ...FIRST_OF,
    name: 'two tags',
    condition: `${HAS_TAG} AND ${HAS_TAG}`,
    vary: ({ tagIds }, random) => {
      const all = [pick(tagIds, random), pick(tagIds, random)];
      return { query: { where: { tagIds: { all } }, ...NEWEST }, parameters: all };
    },
  },
  {
    ...FIRST_OF,
    name: 'any of six tags',
    condition: `id IN (SELECT imageId FROM tags WHERE tagId IN (${Array(LIST_TAGS).fill('?').join(', ')}))`,
    vary: ({ tagIds }, random) => {
      const list = Array.from({ length: LIST_TAGS }, () => pick(tagIds, random));
      return { query: { where: { tagIds: { in: list } }, ...NEWEST }, parameters: list };
    },
  },
  {
    ...FIRST_OF,
    name: 'one level, no video',
    condition: "nsfwLevel = ? AND NOT type = 'video'",
    vary: (_, random) => {
      const nsfwLevel = pick(NSFW_LEVELS, random);
      return { query: { where: { nsfwLevel, NOT: { type: 'video' } }, ...NEWEST }, parameters: [nsfwLevel] };
    },
  },
  {
    ...FIRST_OF,
    name: 'a time range with metadata',
    condition: 'existedAt >= ? AND existedAt < ? AND hasMeta',
    vary: ({ existedAt }, random) => {
      const bounds = [pick(existedAt, random), pick(existedAt, random)].sort((a, b) => a - b);
      const where = { existedAt: { gte: bounds[0], lt: bounds[1] }, hasMeta: true };
      return { query: { where, ...NEWEST }, parameters: bounds };
    },
  },
  {
    ...FIRST_OF,
    name: 'a user or a tag',
    condition: `userId = ? OR ${HAS_TAG}`,
    vary: ({ userIds, tagIds }, random) => {
      const [user, tag] = [pick(userIds, random), pick(tagIds, random)];
      return {
        query: { where: { OR: [{ userId: user }, { tagIds: tag }] }, ...NEWEST },
        parameters: [user, tag],
      };
    },
  },
  {
    ...FIRST_OF,
    name: 'on site since a time, no tag',
    condition: `onSite AND existedAt >= ? AND NOT ${HAS_TAG}`,
    vary: ({ existedAt, tagIds }, random) => {
      const [since, tag] = [pick(existedAt, random), pick(tagIds, random)];
      const where = { onSite: true, existedAt: { gte: since }, NOT: { tagIds: tag } };
      return { query: { where, ...NEWEST }, parameters: [since, tag] };
    },
  },
];

function pick<Value>(values: readonly Value[], random: Random): Value {
  return values[random.below(values.length)];
}
