/**
 * A sort field as it is after changes to a base segment: changed layers, and the keys of the slots that were set.
 *
 * Slots that once got their key in bulk are read from the layers from then on, so that a bulk write costs by containers
 * and not by slots.
 */
import { type BitmapChange, BitmapEditor } from './bitmap-change.ts';
import { LayeredMap } from './layered-map.ts';
import { EMPTY_BITMAP, RoaringBitmap32 } from './roaring.ts';
import type { SortSegment } from './sort-segment.ts';
import type { SortField, SortPages } from './version.ts';

const KEY_BITS = 32;

interface State {
  /** By bit; null: as in the base. */
  readonly layers: readonly (BitmapChange | null)[];
  readonly present: BitmapChange | null;
  /** Keys set one by one; not to be read for slots that are absent or in `bulk`. */
  readonly keys: LayeredMap<number>;
  /** Slots that were ever written in bulk: the layers have their key. */
  readonly bulk: RoaringBitmap32;
  readonly keyMin: number;
  readonly keyMax: number;
  /** Whether anything was ever edited. */
  readonly isChanged: boolean;
}

export class DeltaSort implements SortField {
  readonly base: SortSegment;
  readonly state: State;
  #pages: SortPages | null = null;

  constructor(base: SortSegment, state: State = unchanged(base)) {
    this.base = base;
    this.state = state;
  }

  get present(): RoaringBitmap32 {
    return this.state.present?.bitmap ?? this.base.present;
  }

  get keyMin(): number {
    return Math.min(this.state.keyMin, this.state.keyMax);
  }

  get keyMax(): number {
    return this.state.keyMax;
  }

  get layerCount(): number {
    return KEY_BITS - Math.clz32(this.keyMax);
  }

  layer(bit: number): RoaringBitmap32 {
    return this.state.layers[bit]?.bitmap ?? this.base.layer(bit);
  }

  keyOf(slot: number): number {
    const { bulk, keys } = this.state;
    if (!bulk.isEmpty && bulk.has(slot)) return keyFromLayers(this, slot);
    return keys.get(slot) ?? this.base.keyOf(slot);
  }

  gather(slots: Uint32Array, keys: Uint32Array, count: number): void {
    if (!this.state.isChanged) this.base.gather(slots, keys, count);
    else for (let i = 0; i < count; i++) keys[i] = this.keyOf(slots[i]);
  }

  pages(): SortPages {
    this.#pages ??= this.state.isChanged ? pagesOf(this) : this.base.pages();
    return this.#pages;
  }
}

/** Collects edits of one field. */
export class SortEditor {
  readonly #from: DeltaSort;
  readonly #layers: (BitmapEditor | null)[] = new Array(KEY_BITS).fill(null);
  readonly #present: BitmapEditor;
  readonly #keys = new Map<number, number>();
  #bulk: RoaringBitmap32;
  #keyMin: number;
  #keyMax: number;
  /** Slots that got a value, whether or not they kept it. */
  readonly added = new RoaringBitmap32();

  constructor(from: DeltaSort) {
    const { present, bulk, keyMin, keyMax } = from.state;
    this.#from = from;
    this.#present = new BitmapEditor(present ?? from.base.present);
    this.#bulk = bulk;
    this.#keyMin = keyMin;
    this.#keyMax = keyMax;
  }

  /** Makes `key` the key of the slot, or none with null, whatever it was before. */
  set(slot: number, key: number | null): void {
    const old = this.#keyOf(slot);
    const next = key ?? 0;
    for (let changed = (old ^ next) >>> 0; changed !== 0; changed = (changed & (changed - 1)) >>> 0) {
      const bit = 31 - Math.clz32(changed & -changed);
      if ((next >>> bit) & 1) this.#layer(bit).add(slot);
      else this.#layer(bit).remove(slot);
    }
    if (key === null) {
      this.#present.remove(slot);
      return;
    }
    this.#present.add(slot);
    this.added.add(slot);
    this.#keys.set(slot, key);
    this.#widen(key);
  }

  /** The same for many slots at once. */
  setMany(slots: RoaringBitmap32, key: number | null): void {
    if (slots.isEmpty) return;
    for (let bit = 0; bit < KEY_BITS; bit++) {
      if (((key ?? 0) >>> bit) & 1) this.#layer(bit).addMany(slots);
      else if (bit < this.#bitsUsed()) this.#layer(bit).removeMany(slots);
    }
    if (key === null) {
      this.#present.removeMany(slots);
      return;
    }
    this.#present.addMany(slots);
    this.added.orInPlace(slots);
    if (this.#bulk.isFrozen) this.#bulk = this.#bulk.clone();
    this.#bulk.orInPlace(slots);
    this.#widen(key);
  }

  /** The field with the edits. The editor is spent. */
  finish(): DeltaSort {
    const { base, state } = this.#from;
    return new DeltaSort(base, {
      layers: state.layers.map((layer, bit) => {
        const editor = this.#layers[bit];
        return editor === null ? layer : editor.finish();
      }),
      present: this.#present.finish(),
      keys: state.keys.with(this.#keys),
      bulk: this.#bulk.freeze(),
      keyMin: this.#keyMin,
      keyMax: this.#keyMax,
      isChanged: true,
    });
  }

  /** 0 for a slot without a key: no layer has it. */
  #keyOf(slot: number): number {
    if (!this.#present.has(slot)) return 0;
    if (this.#bulk.has(slot)) return this.#keyFromLayers(slot);
    return this.#keys.get(slot) ?? this.#from.state.keys.get(slot) ?? this.#from.base.keyOf(slot);
  }

  #keyFromLayers(slot: number): number {
    let key = 0;
    for (let bit = 0; bit < this.#bitsUsed(); bit++) if (this.#layer(bit).has(slot)) key |= 1 << bit;
    return key >>> 0;
  }

  #layer(bit: number): BitmapEditor {
    return (this.#layers[bit] ??= new BitmapEditor(
      this.#from.state.layers[bit] ?? this.#from.base.layer(bit),
    ));
  }

  #bitsUsed(): number {
    return KEY_BITS - Math.clz32(this.#keyMax);
  }

  #widen(key: number): void {
    if (key < this.#keyMin) this.#keyMin = key;
    if (key > this.#keyMax) this.#keyMax = key;
  }
}

/** Pages with present slots, each with its number of them, ascending. */
export function presentPages(present: RoaringBitmap32): { pageKey: number; rank: number; size: number }[] {
  const pages: { pageKey: number; rank: number; size: number }[] = [];
  const total = present.size;
  for (let rank = 0; rank < total; ) {
    const pageKey = present.select(rank)! >>> 16;
    const size = present.rangeCardinality(pageKey * 65_536, (pageKey + 1) * 65_536);
    pages.push({ pageKey, rank, size });
    rank += size;
  }
  return pages;
}

function unchanged(base: SortSegment): State {
  return {
    layers: new Array(KEY_BITS).fill(null),
    present: null,
    keys: new LayeredMap(),
    bulk: EMPTY_BITMAP,
    keyMin: base.present.isEmpty ? 0xffffffff : base.keyMin,
    keyMax: base.keyMax,
    isChanged: false,
  };
}

function keyFromLayers(field: DeltaSort, slot: number): number {
  let key = 0;
  for (let bit = 0; bit < field.layerCount; bit++) if (field.layer(bit).has(slot)) key |= 1 << bit;
  return key >>> 0;
}

/** The base's bounds, widened by every key that was set; bulk writes widen to the field's. Never too narrow. */
function pagesOf(field: DeltaSort): SortPages {
  const { keys, bulk } = field.state;
  const bounds = new Map<number, { keyMin: number; keyMax: number }>();
  const widen = (pageKey: number, keyMin: number, keyMax: number) => {
    const page = bounds.get(pageKey) ?? { keyMin, keyMax };
    bounds.set(pageKey, { keyMin: Math.min(page.keyMin, keyMin), keyMax: Math.max(page.keyMax, keyMax) });
  };
  const base = field.base.pages();
  for (let i = 0; i < base.pageKeys.length; i++) widen(base.pageKeys[i], base.keyMins[i], base.keyMaxs[i]);
  for (const [slot, key] of keys.toMap()) widen(slot >>> 16, key, key);
  for (const { pageKey } of presentPages(bulk)) widen(pageKey, field.keyMin, field.keyMax);
  const pageKeys = Uint32Array.from(presentPages(field.present), ({ pageKey }) => pageKey);
  return {
    pageKeys,
    keyMins: pageKeys.map((pageKey) => bounds.get(pageKey)!.keyMin),
    keyMaxs: pageKeys.map((pageKey) => bounds.get(pageKey)!.keyMax),
  };
}
