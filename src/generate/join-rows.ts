/**
 * Rows of the join tables: tags.csv (tagId, imageId) and tools.csv (toolId, imageId). Values follow a power law and are
 * distinct within an image. Rows come in slot order except those of a few images that were tagged late.
 */
import { writeDecimal } from './byte-writers.ts';
import { Random } from './random.ts';
import { SlotSequence } from './slot-sequence.ts';

/** Bytes of the rows of one image at most: values × (two numbers of 10 digits, comma, newline). */
export const JOIN_ROWS_BYTES_MAX = 16 * 22;

const COMMA = 0x2c;
const NEWLINE = 0x0a;
const SCATTER_PRIME = 65_521;
/** One image in 256 gets its rows late, when another late image takes its place in the ring. */
const LATE_ONE_IN = 256;
const LATE_IMAGES = 16;

export interface JoinShape {
  /** Random stream, different per table. */
  stream: number;
  /** Distinct values of the table. */
  valueCount: number;
  /** An image has 0 to this many values, each count equally likely; at most 16. */
  valuesPerImageMax: number;
}

export function tagShape(rows: number): JoinShape {
  return {
    stream: 3,
    valueCount: Math.min(31_000, Math.max(40, Math.floor(rows / 32))),
    valuesPerImageMax: 9,
  };
}

export function toolShape(rows: number): JoinShape {
  return {
    stream: 4,
    valueCount: Math.min(300, Math.max(10, Math.floor(rows / 3_000))),
    valuesPerImageMax: 1,
  };
}

export class JoinRows {
  readonly #random: Random;
  readonly #slots: SlotSequence;
  readonly #shape: JoinShape;
  readonly #lateSlots = new Uint32Array(LATE_IMAGES);
  readonly #chosen = new Uint32Array(16);
  #lateCount = 0;
  #lateEmitted = 0;
  rowCount = 0;

  constructor(shape: JoinShape, seed: number) {
    this.#shape = shape;
    this.#random = new Random(seed, shape.stream);
    this.#slots = new SlotSequence(seed);
  }

  /** Writes the rows of the next image, or of a late one in its place, and returns the position after them. */
  write(bytes: Uint8Array, at: number): number {
    let slot = this.#slots.next();
    if (this.#random.below(LATE_ONE_IN) === 0) {
      const place = this.#lateCount++ % LATE_IMAGES;
      const displaced = this.#lateSlots[place];
      this.#lateSlots[place] = slot;
      if (displaced === 0) return at;
      this.#lateEmitted++;
      slot = displaced;
    }
    return this.#writeImage(bytes, at, slot);
  }

  /** Writes the rows of the late images that are still waiting, at most LATE_IMAGES of them. */
  writeRemaining(bytes: Uint8Array, at: number): number {
    let position = at;
    while (this.#lateEmitted < this.#lateCount) {
      const slot = this.#lateSlots[this.#lateEmitted++ % LATE_IMAGES];
      position = this.#writeImage(bytes, position, slot);
    }
    return position;
  }

  #writeImage(bytes: Uint8Array, at: number, slot: number): number {
    const { valueCount, valuesPerImageMax } = this.#shape;
    const count = this.#random.below(valuesPerImageMax + 1);
    let chosenCount = 0;
    let position = at;
    for (let draw = 0; draw < count; draw++) {
      const rank = this.#random.skewedBelow(valueCount);
      if (this.#isChosen(rank, chosenCount)) continue;
      this.#chosen[chosenCount++] = rank;
      position = writeDecimal(bytes, position, 1 + ((rank * SCATTER_PRIME) % valueCount));
      bytes[position++] = COMMA;
      position = writeDecimal(bytes, position, slot);
      bytes[position++] = NEWLINE;
    }
    this.rowCount += chosenCount;
    return position;
  }

  #isChosen(rank: number, chosenCount: number): boolean {
    for (let index = 0; index < chosenCount; index++) if (this.#chosen[index] === rank) return true;
    return false;
  }
}
