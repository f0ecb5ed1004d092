/**
 * Rows of images.csv: id, url, nsfwLevel, hash, flags, type, userId, blockedFor, scannedAtSecs, createdAtSecs, postId,
 * with the traits of a real dump that make loading hard: blurhashes of which a third hold a comma and are quoted, nulls,
 * posts of 1 to 20 images by one power-law user, wide ties in nsfwLevel and in the creation second.
 */
import { asciiBytes, writeBytes, writeDecimal, writeUuid } from './byte-writers.ts';
import { Random } from './random.ts';
import { SlotSequence } from './slot-sequence.ts';

/** Bytes of one row at most: 8 numbers of 10 digits, two texts, a quoted hash, delimiters. */
export const IMAGE_ROW_BYTES_MAX = 256;

const STREAM = 2;
const COMMA = 0x2c;
const QUOTE = 0x22;
const NEWLINE = 0x0a;

const BASE83 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';
/** All pairs of base-83 digits, so that 16 random bits give two bytes of a hash. */
const BASE83_PAIRS = asciiBytes([...BASE83].flatMap((high) => [...BASE83].map((low) => high + low)).join(''));
const BASE83_PAIR_COUNT = 83 * 83;
const HASH_BYTES = 36;

const TYPE_IMAGE = asciiBytes('image');
const TYPE_VIDEO = asciiBytes('video');
const TYPE_AUDIO = asciiBytes('audio');
const BLOCKED_FOR = ['tos', 'moderated', 'AiNotVerified'].map(asciiBytes);

/** Two years from 2023-01-01: the window real timestamps cluster in. */
const CREATED_AT_FIRST = 1_672_531_200;
const CREATED_AT_SPAN_SECS = 63_072_000;
/** Small dumps keep a dense window instead of days between posts. */
const POST_STEP_SECS_MAX = 600;
const POST_IMAGES_MEAN = 5.5;
const POST_IMAGES_BOUND = 20;
const POST_FIRST = 5_000;

const USERS_MIN = 100;
const IMAGES_PER_USER = 20;
/** A prime: multiplying ranks by it scatters popular ids over the id range. */
const SCATTER_PRIME = 16_777_213;

export class ImageRows {
  readonly #random: Random;
  readonly #slots: SlotSequence;
  readonly #userCount: number;
  readonly #postStepSecs: number;
  #post = POST_FIRST;
  #postImagesLeft = 0;
  #user = 0;
  #createdAt = CREATED_AT_FIRST;

  constructor(rows: number, seed: number) {
    this.#random = new Random(seed, STREAM);
    this.#slots = new SlotSequence(seed);
    this.#userCount = Math.max(USERS_MIN, Math.floor(rows / IMAGES_PER_USER));
    this.#postStepSecs = Math.min(
      POST_STEP_SECS_MAX,
      (CREATED_AT_SPAN_SECS * POST_IMAGES_MEAN) / Math.max(1, rows),
    );
  }

  /** Writes the next row and returns the position after it. */
  write(bytes: Uint8Array, at: number): number {
    const random = this.#random;
    if (this.#postImagesLeft === 0) this.#nextPost();
    else if (random.below(4) === 0) this.#createdAt += random.below(4);
    this.#postImagesLeft--;

    let position = writeDecimal(bytes, at, this.#slots.next());
    bytes[position++] = COMMA;
    position = writeUuid(bytes, position, random.next(), random.next(), random.next(), random.next());
    bytes[position++] = COMMA;
    position = writeDecimal(bytes, position, nsfwLevelOf(random.below(1000)));
    bytes[position++] = COMMA;
    if (random.below(100) >= 3) position = writeHash(bytes, position, random);
    bytes[position++] = COMMA;
    position = writeDecimal(bytes, position, flagsOf(random.next()));
    bytes[position++] = COMMA;
    position = writeBytes(bytes, position, typeOf(random.below(1000)));
    bytes[position++] = COMMA;
    position = writeDecimal(bytes, position, this.#user);
    bytes[position++] = COMMA;
    const blocked = random.below(150);
    if (blocked < 3) position = writeBytes(bytes, position, BLOCKED_FOR[blocked]);
    bytes[position++] = COMMA;
    if (random.below(10) !== 0)
      position = writeDecimal(bytes, position, this.#createdAt + random.skewedBelow(100));
    bytes[position++] = COMMA;
    position = writeDecimal(bytes, position, this.#createdAt);
    bytes[position++] = COMMA;
    if (random.below(50) !== 0) position = writeDecimal(bytes, position, this.#post);
    bytes[position++] = NEWLINE;
    return position;
  }

  #nextPost(): void {
    const random = this.#random;
    this.#post += 1 + random.below(3);
    this.#postImagesLeft = 1 + random.skewedBelow(POST_IMAGES_BOUND);
    this.#user = 1 + ((random.skewedBelow(this.#userCount) * SCATTER_PRIME) % this.#userCount);
    // The fourth power has mean 1/5: posts come in bursts with the mean step kept.
    const fraction = random.fraction();
    const burst = fraction * fraction * fraction * fraction * 5;
    this.#createdAt += Math.floor(burst * this.#postStepSecs);
  }
}

/** `perMille` uniform in [0, 1000). */
function nsfwLevelOf(perMille: number): number {
  if (perMille < 840) return 1;
  if (perMille < 905) return 2;
  if (perMille < 950) return 4;
  if (perMille < 975) return 8;
  if (perMille < 990) return 16;
  return perMille < 998 ? 32 : 64;
}

function typeOf(perMille: number): Uint8Array {
  if (perMille < 930) return TYPE_IMAGE;
  return perMille < 990 ? TYPE_VIDEO : TYPE_AUDIO;
}

/** Mostly 0, 8192 (has meta) and 24576 (has meta, made on site), with rare low bits from independent bits of `bits`. */
function flagsOf(bits: number): number {
  const kind = bits & 0xf;
  let flags = kind < 5 ? 0 : kind < 12 ? 8192 : 24576;
  if (((bits >>> 4) & 0x3f) === 0) flags |= 1 << 2;
  if (((bits >>> 10) & 0x7f) === 0) flags |= 1 << 3;
  if (((bits >>> 17) & 0x7f) === 0) flags |= 1 << 4;
  if (((bits >>> 24) & 0x1f) === 0) flags |= (bits >>> 29) & 3;
  return flags;
}

/** A blurhash of 36 base-83 digits, quoted when one of them is a comma. */
function writeHash(bytes: Uint8Array, at: number, random: Random): number {
  let hasComma = false;
  const start = at + 1;
  for (let offset = 0; offset < HASH_BYTES; offset += 4) {
    const bits = random.next();
    const first = (((bits >>> 16) * BASE83_PAIR_COUNT) >>> 16) * 2;
    const second = (((bits & 0xffff) * BASE83_PAIR_COUNT) >>> 16) * 2;
    const a = BASE83_PAIRS[first];
    const b = BASE83_PAIRS[first + 1];
    const c = BASE83_PAIRS[second];
    const d = BASE83_PAIRS[second + 1];
    bytes[start + offset] = a;
    bytes[start + offset + 1] = b;
    bytes[start + offset + 2] = c;
    bytes[start + offset + 3] = d;
    hasComma ||= a === COMMA || b === COMMA || c === COMMA || d === COMMA;
  }
  if (!hasComma) {
    bytes.copyWithin(at, start, start + HASH_BYTES);
    return at + HASH_BYTES;
  }
  bytes[at] = QUOTE;
  bytes[start + HASH_BYTES] = QUOTE;
  return start + HASH_BYTES + 1;
}
