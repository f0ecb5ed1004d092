/**
 * From the local dictionaries of chunks to the one of the field. Strings that are new get their codes in byte order, so
 * the codes depend on the strings alone and not on how the file was cut; strings that were known keep theirs.
 */
import { DictionaryBuilder, type DictionarySegment } from '../index/dictionary-segment.ts';
import type { SegmentBytes } from '../index/segment.ts';
import type { LocalStrings } from './chunk-messages.ts';

export interface MergedDictionary {
  readonly segment: SegmentBytes;
  /** Per local dictionary: local code → code of the field. */
  readonly translations: readonly Uint32Array[];
}

export function mergeDictionaries(
  previous: DictionarySegment | undefined,
  locals: readonly LocalStrings[],
): MergedDictionary {
  // One character per byte, so comparing two strings compares their bytes.
  const localTexts = locals.map(textsOf);
  const distinct = [...new Set(localTexts.flat())].sort();
  const builder = new DictionaryBuilder(previous);
  const codes = new Map<string, number>();
  for (const text of distinct) {
    const bytes = Buffer.from(text, 'latin1');
    codes.set(text, builder.add(bytes, 0, bytes.length));
  }
  const unchanged = previous !== undefined && builder.size === previous.size;
  return {
    segment: unchanged ? previous.content : builder.finish(),
    translations: localTexts.map((texts) => translate(texts, codes)),
  };
}

function textsOf(strings: LocalStrings): string[] {
  const bytes = Buffer.from(strings.bytes.buffer, strings.bytes.byteOffset, strings.bytes.byteLength);
  const texts: string[] = [];
  for (let code = 0; code + 1 < strings.offsets.length; code++) {
    texts.push(bytes.toString('latin1', strings.offsets[code], strings.offsets[code + 1]));
  }
  return texts;
}

function translate(texts: readonly string[], codes: ReadonlyMap<string, number>): Uint32Array {
  const translation = new Uint32Array(new SharedArrayBuffer(texts.length * 4));
  for (let code = 0; code < texts.length; code++) translation[code] = codes.get(texts[code])!;
  return translation;
}
