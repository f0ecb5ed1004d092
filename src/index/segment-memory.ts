/**
 * The memory of segments that no version in use has any more: the next version is built there. Touching fresh memory
 * costs more than filling it, and a version is the larger part of what a load touches for the first time.
 *
 * Whoever reads segments after giving up its turn, on this thread or another, holds them meanwhile; a query, which ends
 * within its turn, need not.
 */
import { SPARE_SEGMENT_BYTES_MIN, SPARE_SEGMENTS_BYTES_MAX } from '../limits.ts';
import type { SegmentBytes } from './segment.ts';
import type { VersionSegments } from './version.ts';
import { partsOf, type SegmentRole, type VersionPart } from './version-parts.ts';

export class SegmentMemory {
  /** Of every segment that is held, by how many. */
  readonly #holders = new Map<SegmentBytes, number>();
  /** What comes next is most likely as large as what was there: by role and field. */
  readonly #spare = new Map<string, SharedArrayBuffer>();
  #spareBytes = 0;

  /** None of these segments is written over until the function that it returns is called, once. */
  hold(segments: VersionSegments): () => void {
    const parts = partsOf(segments);
    for (const { content } of parts) this.#holders.set(content, (this.#holders.get(content) ?? 0) + 1);
    return () => {
      for (const part of parts) this.#release(part);
      parts.length = 0;
    };
  }

  /** Memory for the next segment of a field, the caller's from now on; null when there is none. */
  take(role: SegmentRole, field: string): SharedArrayBuffer | null {
    const key = keyOf(role, field);
    const memory = this.#spare.get(key) ?? null;
    if (memory !== null) {
      this.#spare.delete(key);
      this.#spareBytes -= memory.byteLength;
    }
    return memory;
  }

  #release(part: VersionPart): void {
    const holders = this.#holders.get(part.content)! - 1;
    if (holders > 0) this.#holders.set(part.content, holders);
    else {
      this.#holders.delete(part.content);
      this.#keep(part);
    }
  }

  #keep({ role, field, content: { buffer } }: VersionPart): void {
    if (field === null || role === 'dictionary' || buffer.byteLength < SPARE_SEGMENT_BYTES_MIN) return;
    this.take(role, field);
    if (this.#spareBytes + buffer.byteLength > SPARE_SEGMENTS_BYTES_MAX) return;
    this.#spare.set(keyOf(role, field), buffer);
    this.#spareBytes += buffer.byteLength;
  }
}

function keyOf(role: SegmentRole, field: string): string {
  return `${role} ${field}`;
}
