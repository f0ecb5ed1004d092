/**
 * An immutable map from integers for versions that follow each other: a new one shares all entries with the one before
 * and adds a batch of changes. Levels of shrinking size; a new level is merged into the one below unless that is more
 * than twice as large, so an entry is copied a logarithmic number of times and a lookup visits a few levels.
 */
export class LayeredMap<V> {
  /** Largest and oldest first. */
  readonly #levels: readonly ReadonlyMap<number, V>[];

  constructor(levels: readonly ReadonlyMap<number, V>[] = []) {
    this.#levels = levels;
  }

  get isEmpty(): boolean {
    return this.#levels.length === 0;
  }

  get(key: number): V | undefined {
    for (let i = this.#levels.length - 1; i >= 0; i--) {
      const value = this.#levels[i].get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** This map with the changes over it, which become part of it and must not change any more. */
  with(changes: ReadonlyMap<number, V>): LayeredMap<V> {
    if (changes.size === 0) return this;
    const levels = [...this.#levels];
    let top = changes;
    for (;;) {
      const below = levels.at(-1);
      if (below === undefined || below.size > 2 * top.size) break;
      levels.pop();
      const merged = new Map(below);
      for (const [key, value] of top) merged.set(key, value);
      top = merged;
    }
    levels.push(top);
    return new LayeredMap(levels);
  }

  /** All entries as one map. */
  toMap(): Map<number, V> {
    const all = new Map<number, V>();
    for (const level of this.#levels) for (const [key, value] of level) all.set(key, value);
    return all;
  }
}
