/**
 * A dictionary with strings added since its base segment. Versions that follow each other share one growing list; each
 * sees the part that existed when it was made.
 */
import type { DictionarySegment } from './dictionary-segment.ts';
import { hasLoneSurrogate } from './dictionary-segment.ts';
import type { Dictionary } from './version.ts';

export class DeltaDictionary implements Dictionary {
  readonly base: DictionarySegment;
  readonly size: number;
  readonly #added: AddedStrings;

  constructor(base: DictionarySegment, added: AddedStrings = new AddedStrings(base), size = base.size) {
    this.base = base;
    this.size = size;
    this.#added = added;
  }

  codeOf(text: string): number | undefined {
    const code = this.base.codeOf(text) ?? this.#added.codes.get(text);
    return code !== undefined && code < this.size ? code : undefined;
  }

  textOf(code: number): string {
    if (!(code < this.size)) throw new RangeError(`no string has the code ${code}, there are ${this.size}`);
    return code < this.base.size ? this.base.textOf(code) : this.#added.texts[code - this.base.size];
  }

  /** The code of a string, new or not, and the dictionary that has it; undefined for a text without a UTF-8 form. */
  withText(text: string): { code: number; dictionary: DeltaDictionary } | undefined {
    const existing = this.codeOf(text);
    if (existing !== undefined) return { code: existing, dictionary: this };
    if (hasLoneSurrogate(text)) return undefined;
    const code = this.#added.codeOf(text);
    const size = Math.max(this.size, code + 1);
    return { code, dictionary: new DeltaDictionary(this.base, this.#added, size) };
  }

  /** The strings over the base, by code. */
  addedTexts(): readonly string[] {
    return this.#added.texts.slice(0, this.size - this.base.size);
  }
}

/** Only grows, so a code never changes its string even where a version that introduced it was dropped. */
class AddedStrings {
  readonly texts: string[] = [];
  readonly codes = new Map<string, number>();
  readonly #firstCode: number;

  constructor(base: DictionarySegment) {
    this.#firstCode = base.size;
  }

  codeOf(text: string): number {
    let code = this.codes.get(text);
    if (code === undefined) {
      code = this.#firstCode + this.texts.length;
      this.texts.push(text);
      this.codes.set(text, code);
    }
    return code;
  }
}
