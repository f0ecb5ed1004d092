/** The store as it should be: text by text key, in order, with the versions at which each key was written. */

export type Read =
  | { readonly kind: 'get'; readonly key: string; readonly value: string | null; readonly snapshot?: boolean }
  | {
      readonly kind: 'range';
      readonly begin: string;
      readonly end: string;
      readonly limit: number;
      readonly pairs: readonly (readonly [key: string, value: string])[];
    };

export type Write =
  | { readonly kind: 'set'; readonly key: string; readonly value: string }
  /** APPEND_IF_FITS; no list of these tests is ever full. */
  | { readonly kind: 'append'; readonly key: string; readonly element: string }
  | { readonly kind: 'add'; readonly key: string; readonly amount: number }
  | { readonly kind: 'clearRange'; readonly begin: string; readonly end: string }
  /** Nothing but the entry of the log that every attempt makes. */
  | { readonly kind: 'log' };

interface Mark {
  readonly version: number;
  readonly begin: string;
  readonly end: string;
  readonly invokedAtNs: number;
}

export class Model {
  readonly #values = new Map<string, string>();
  /** Keys up to and including their first slash, and under each its keys in order. No range crosses one. */
  readonly #sections = new Map<string, string[]>();
  /** What was written, by version; an entry of the log does not count, for nobody protects a read of it. */
  readonly #marks: Mark[] = [];

  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  entries(): IterableIterator<[string, string]> {
    return this.#values.entries();
  }

  range(begin: string, end: string, limit: number): [string, string][] {
    const pairs: [string, string][] = [];
    const keys = this.#sections.get(sectionOf(begin)) ?? [];
    for (let at = placeOf(keys, begin); at < keys.length && keys[at] < end && pairs.length < limit; at++) {
      pairs.push([keys[at], this.#values.get(keys[at])!]);
    }
    return pairs;
  }

  set(key: string, value: string): void {
    if (!this.#values.has(key)) {
      const section = sectionOf(key);
      const keys = this.#sections.get(section) ?? [];
      keys.splice(placeOf(keys, key), 0, key);
      this.#sections.set(section, keys);
    }
    this.#values.set(key, value);
  }

  apply(version: number, writes: readonly Write[], invokedAtNs: number): void {
    for (const write of writes) {
      if (write.kind === 'log') continue;
      if (write.kind === 'clearRange') {
        this.#clearRange(write.begin, write.end);
        this.#marks.push({ version, begin: write.begin, end: write.end, invokedAtNs });
        continue;
      }
      this.#marks.push({ version, begin: write.key, end: `${write.key}\0`, invokedAtNs });
      if (write.kind === 'set') this.set(write.key, write.value);
      else if (write.kind === 'append') this.set(write.key, `${this.get(write.key) ?? ''}${write.element},`);
      else this.set(write.key, String(Number(this.get(write.key) ?? 0) + write.amount));
    }
  }

  /** Whether a commit after `version`, begun before `untilNs`, wrote into the reads. */
  wasWritten(reads: readonly Read[], version: number, untilNs: number): boolean {
    const ranges = reads.map((read) =>
      read.kind === 'get' ? { begin: read.key, end: `${read.key}\0` } : { begin: read.begin, end: read.end },
    );
    let low = 0;
    let high = this.#marks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#marks[middle].version <= version) low = middle + 1;
      else high = middle;
    }
    for (let at = low; at < this.#marks.length; at++) {
      const mark = this.#marks[at];
      if (mark.invokedAtNs >= untilNs) continue;
      if (ranges.some(({ begin, end }) => begin < mark.end && mark.begin < end)) return true;
    }
    return false;
  }

  #clearRange(begin: string, end: string): void {
    const keys = this.#sections.get(sectionOf(begin)) ?? [];
    const from = placeOf(keys, begin);
    for (const key of keys.splice(from, placeOf(keys, end) - from)) this.#values.delete(key);
  }
}

function sectionOf(key: string): string {
  return key.slice(0, key.indexOf('/') + 1);
}

function placeOf(keys: readonly string[], key: string): number {
  // Most keys are the newest.
  if (keys.length === 0 || keys[keys.length - 1] < key) return keys.length;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
