/**
 * A dictionary with strings added since its base segment. It only grows: a code never changes its string, and whatever
 * adds the same strings in the same order gives them the same codes.
 */
import type { DictionarySegment } from './dictionary-segment.ts';
import type { Dictionary } from './version.ts';

export class DeltaDictionary implements Dictionary {
  readonly base: DictionarySegment;
  /** By code, from the base's size on. */
  readonly #added: string[] = [];
  readonly #codes = new Map<string, number>();

  constructor(base: DictionarySegment) {
    this.base = base;
  }

  get size(): number {
    return this.base.size + this.#added.length;
  }

  get isChanged(): boolean {
    return this.#added.length > 0;
  }

  codeOf(text: string): number | undefined {
    return this.base.codeOf(text) ?? this.#codes.get(text);
  }

  textOf(code: number): string {
    if (!(code < this.size)) throw new RangeError(`no string has the code ${code}, there are ${this.size}`);
    return code < this.base.size ? this.base.textOf(code) : this.#added[code - this.base.size];
  }

  /** The code of a string, new or not, which must have a UTF-8 form. */
  add(text: string): number {
    let code = this.codeOf(text);
    if (code === undefined) {
      code = this.size;
      this.#added.push(text);
      this.#codes.set(text, code);
    }
    return code;
  }

  /** The strings over the base, by code; what is added later does not show. */
  addedTexts(): readonly string[] {
    return this.#added.slice();
  }
}
