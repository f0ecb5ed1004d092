/**
 * What an accumulator hands over for one chunk: typed arrays over shared memory, no object per row, value or
 * page, so that structured clone costs nothing and any thread reads it in place.
 *
 * Rows are cut into *runs*, stretches of strictly ascending slots in line order; a later run wins over an
 * earlier one. The contents of a run are a set of *parts*, one record each in `parts`; parts of one run and
 * field never hold the same (slot, key) twice, except for `many` fields.
 */
import type { MessageBlock } from './message-blocks.ts';

/** A field as the accumulator sees it. */
export interface AccumulatorField {
  readonly name: string;
  readonly filter: boolean;
  readonly sort: boolean;
  readonly many: boolean;
}

export interface ChunkMessage {
  readonly fields: readonly AccumulatorField[];
  /**
   * A later row of the same slot replaces the earlier one; false: the table has `many` fields only and is not
   * alive.
   */
  readonly singleValued: boolean;
  /** Rows added, duplicates included. */
  readonly rowCount: number;
  /** RUN_WORDS per run, in line order. Empty unless singleValued. */
  readonly runs: Uint32Array;
  /** PART_WORDS per part. */
  readonly parts: Uint32Array;
  /** What the parts point into. */
  readonly blocks: readonly MessageBlock[];
}

/** Words of a run record: smallest slot, largest slot, number of slots. */
export const RUN_WORDS = 3;
export const RUN_SLOT_MIN = 0;
export const RUN_SLOT_MAX = 1;
export const RUN_SLOT_COUNT = 2;

/** Words of a part record. */
export const PART_WORDS = 8;
/** Index of the run; NO_RUN for `many` fields. */
export const PART_RUN = 0;
/** Index of the field; NO_FIELD for touched slots. */
export const PART_FIELD = 1;
/** One of the kinds below. */
export const PART_KIND = 2;
/** Index of the block. */
export const PART_BLOCK = 3;
/** Byte offset in the block, a multiple of 8. */
export const PART_OFFSET = 4;
/** Number of keys (KIND_BITMAPS, KIND_PRESENT, KIND_PAIRS); page key (KIND_PAGE). */
export const PART_KEYS = 5;
/**
 * Number of slots (KIND_SLOTS, KIND_PAIRS, KIND_ROWS, KIND_PAGE); bytes of the bitmaps (KIND_BITMAPS,
 * KIND_PRESENT).
 */
export const PART_SIZE = 6;

export const NO_RUN = 0xffffffff;
export const NO_FIELD = 0xffffffff;

/** Ascending slots: u32[size]. */
export const KIND_SLOTS = 0;
/**
 * A roaring bitmap per key, not run-optimised: keys u32[keys], ends u32[keys] (bytes, relative to the first
 * bitmap, rounded up to 8), cardinalities u32[keys], padding to 8, then the portable bytes of each at
 * multiples of 8. Of touched slots: one key, 0.
 */
export const KIND_BITMAPS = 1;
/**
 * Slots grouped by key: keys u32[keys] ascending, starts u32[keys + 1], slots u32[size], ascending and unique
 * within a key.
 */
export const KIND_PAIRS = 2;
/** Keys by slot: slots u32[size] ascending, keys u32[size]. */
export const KIND_ROWS = 3;
/** A page of keys by slot: column u32[65536], 0 where absent, then present u32[2048] as a bitset. */
export const KIND_PAGE = 4;
/**
 * One bitmap in the layout of KIND_BITMAPS, with key 0: the slots of all KIND_PAIRS parts of the run and
 * field. Left out where it would cost more than it saves.
 */
export const KIND_PRESENT = 5;
