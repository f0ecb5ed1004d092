/**
 * The segments of a dump as they are merged: the version under construction while in loading mode. Nothing here is
 * visible to queries; the engine publishes all of it in one step, or drops all of it.
 */

import type { SegmentBytes } from '../index/segment.ts';
import type { FieldSegments } from '../index/version.ts';

export class Staging {
  /** Null when no table of the dump makes slots alive. */
  alive: SegmentBytes | null = null;
  readonly fields = new Map<string, FieldSegments>();

  set(field: string, kind: keyof FieldSegments, segment: SegmentBytes): void {
    this.fields.set(field, { ...this.fields.get(field), [kind]: segment });
  }
}
