/** A string dictionary: codes in the order of first appearance. */
export class DictionaryTwin {
  readonly texts: string[] = [];

  add(text: string): number {
    const code = this.texts.indexOf(text);
    return code === -1 ? this.texts.push(text) - 1 : code;
  }
}
