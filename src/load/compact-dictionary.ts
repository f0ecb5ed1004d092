/** Puts the strings that a dictionary learnt into its segment; every code stays. A task of a pool worker. */
import { DictionaryBuilder, DictionarySegment } from '../index/dictionary-segment.ts';
import type { SegmentBytes } from '../index/segment.ts';

export interface DictionaryCompaction {
  readonly base: SegmentBytes;
  /** New strings, in the order of their codes. */
  readonly texts: readonly string[];
}

/** A dictionary segment. @throws BitloomError DICTIONARY_TOO_LARGE. */
export function compactDictionary({ base, texts }: DictionaryCompaction): SegmentBytes {
  const builder = new DictionaryBuilder(new DictionarySegment(base));
  for (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    builder.add(bytes, 0, bytes.length);
  }
  return builder.finish();
}
