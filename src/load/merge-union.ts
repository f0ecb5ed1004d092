/**
 * Unites sets of slots: small ones natively, and large ones page by page, so that no more than a page or a window of each is
 * in memory, and of the union what is not spilled yet.
 */
import { frozenView, isRunsSmaller, type Portable, PortableWriter, SpentBitmap } from '../index/portable.ts';
import { RoaringBitmap32 } from '../index/roaring.ts';
import type { SpillSpace } from '../index/spill-file.ts';
import type { Pointer } from '../kernels/kernel-memory.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { BITSET_BYTES, ENCODED_RUNS_BYTES } from '../kernels/page-kernels.ts';
import { kept, type Loss, type SlotSource, type StoredBitmap, setOf } from './merge-directory.ts';
import { CONTAINER_STAGE_BYTES, ListPages, NO_PAGE, type PageCursor, PortablePages } from './merge-pages.ts';
import { ReadBuffer } from './merge-parts.ts';

/** Bytes of bitmaps from which they are united page by page: a page has its price, however few slots it has. */
const PAGED_BYTES_MIN = 1024 * 1024;
/** Bytes in memory at a time of a set in the spill file: at least a container, and no more than is worth a read. */
const WINDOW_BYTES_MIN = BITSET_BYTES;
const WINDOW_BYTES_MAX = 32 * 1024;
/** Bytes of a slot of a list in a bitmap, about. */
const SLOT_BYTES = 2;

export class SlotUnion {
  readonly #kernels: Kernels;
  readonly #space: SpillSpace | null;
  readonly #pagedBytesMin: number;
  readonly #bitset: Pointer;
  readonly #stage: Pointer;
  readonly #runs: Pointer;
  readonly #buffer = new ReadBuffer();
  #writer: PortableWriter | null = null;

  /**
   * Takes kernel memory, which the caller releases. `space`: where a large union goes; it is large if its sources have so
   * many bytes.
   */
  constructor(kernels: Kernels, space: SpillSpace | null, pagedBytesMin = PAGED_BYTES_MIN) {
    this.#kernels = kernels;
    this.#space = space;
    this.#pagedBytesMin = pagedBytesMin;
    this.#bitset = kernels.memory.allocate(BITSET_BYTES);
    this.#stage = kernels.memory.allocate(CONTAINER_STAGE_BYTES);
    this.#runs = kernels.memory.allocate(ENCODED_RUNS_BYTES);
  }

  /** Valid until the next call. */
  unite(sources: readonly SlotSource[]): Portable {
    const bytes = sources.reduce((sum, source) => sum + bytesOf(source), 0);
    return bytes < this.#pagedBytesMin
      ? new SpentBitmap(unitedInMemory(sources, this.#buffer))
      : this.#unitePaged(sources);
  }

  /** The union is spent, and so is what it returned. */
  release(): void {
    this.#buffer.release();
    this.#writer?.release();
  }

  #unitePaged(sources: readonly SlotSource[]): PortableWriter {
    const { u8 } = this.#kernels.memory;
    const bitset = this.#bitset;
    const cursors = sources.map((source) => this.#cursorOf(source, this.#windowBytes(sources.length)));
    this.#writer ??= new PortableWriter(this.#space);
    const writer = this.#writer;
    writer.reset();
    for (;;) {
      const pageKey = cursors.reduce((least, cursor) => Math.min(least, cursor.pageKey), NO_PAGE);
      if (pageKey === NO_PAGE) break;
      u8.fill(0, bitset, bitset + BITSET_BYTES);
      for (const cursor of cursors) {
        if (cursor.pageKey !== pageKey) continue;
        cursor.take(bitset);
        if (cursor.pageKey === NO_PAGE) cursor.release();
      }
      this.#addPage(writer, pageKey);
    }
    return writer;
  }

  #addPage(writer: PortableWriter, pageKey: number): void {
    const { countBits, countRuns, encodeRuns, memory } = this.#kernels;
    const cardinality = countBits(this.#bitset);
    const runCount = countRuns(this.#bitset);
    if (isRunsSmaller(cardinality, runCount)) {
      encodeRuns(this.#bitset, this.#runs);
      const start = this.#runs / 2;
      writer.addRuns(pageKey, cardinality, memory.u16.subarray(start, start + 2 * runCount));
    } else writer.addBitset(pageKey, memory.u32, this.#bitset / 4, cardinality, runCount);
  }

  #cursorOf(source: SlotSource, windowBytes: number): PageCursor {
    const { loss } = source;
    if (source.kind === 'list') {
      return new ListPages(this.#kernels, source.slots, loss === null ? null : setOf(loss), windowBytes);
    }
    const bytes = this.#keptBytes(source.bytes, loss);
    return new PortablePages(this.#kernels, this.#stage, bytes, windowBytes);
  }

  #keptBytes(bytes: StoredBitmap, loss: Loss | null): StoredBitmap {
    if (loss === null) return bytes;
    const bitmap = kept(frozenView(read(bytes, this.#buffer)), loss);
    const keptBytes = bitmap.serialize('portable');
    bitmap.dispose();
    return keptBytes;
  }

  #windowBytes(sourceCount: number): number {
    const share = (this.#space?.windowBytes ?? 0) / sourceCount;
    return Math.floor(Math.min(Math.max(share, WINDOW_BYTES_MIN), WINDOW_BYTES_MAX) / 4) * 4;
  }
}

/** Folding in place: a union of thousands of bitmaps in a single native call takes ten times as long. */
export function unitedInMemory(sources: readonly SlotSource[], buffer = new ReadBuffer()): RoaringBitmap32 {
  const union = new RoaringBitmap32();
  for (const source of sources) {
    const bitmap = bitmapOf(source, buffer);
    const added = kept(bitmap, source.loss);
    union.orInPlace(added);
    // Native memory that would wait for the garbage collector; a view has none.
    if (added !== bitmap) added.dispose();
    if (!bitmap.isFrozen) bitmap.dispose();
  }
  return union;
}

/** Valid until the buffer is used again. */
function bitmapOf(source: SlotSource, buffer: ReadBuffer): RoaringBitmap32 {
  if (source.kind === 'bitmap') return frozenView(read(source.bytes, buffer));
  const { slots } = source;
  if (slots instanceof Uint32Array) return new RoaringBitmap32(slots);
  const bytes = read(slots, buffer);
  return new RoaringBitmap32(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
}

function read(stored: StoredBitmap, buffer: ReadBuffer): Uint8Array {
  return stored instanceof Uint8Array ? stored : buffer.read(stored, 0, stored.byteLength);
}

function bytesOf(source: SlotSource): number {
  return source.kind === 'bitmap' ? source.bytes.byteLength : (source.slots.byteLength / 4) * SLOT_BYTES;
}
