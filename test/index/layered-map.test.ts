import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LayeredMap } from '../../src/index/layered-map.ts';

test('every map in a chain of versions keeps its own entries', () => {
  const batch = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer()), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 20 }), (batches) => {
      let map = new LayeredMap<number>();
      let model = new Map<number, number>();
      const versions: [LayeredMap<number>, Map<number, number>][] = [];
      for (const changes of batches) {
        map = map.with(new Map(changes));
        model = new Map([...model, ...changes]);
        versions.push([map, model]);
      }
      for (const [map, model] of versions) {
        expect(map.isEmpty).toBe(model.size === 0);
        for (let key = 0; key <= 40; key++) expect(map.get(key)).toBe(model.get(key));
        expect([...map.toMap()].sort(([a], [b]) => a - b)).toEqual([...model].sort(([a], [b]) => a - b));
      }
    }),
  );
});

test('a lookup visits a logarithmic number of levels', () => {
  let map = new LayeredMap<number>();
  for (let i = 0; i < 3000; i++) map = map.with(new Map([[i, i]]));
  let levels = 0;
  const get = Map.prototype.get;
  Map.prototype.get = function (this: Map<number, number>, key: number) {
    levels++;
    return get.call(this, key);
  };
  try {
    expect(map.get(-1)).toBeUndefined();
  } finally {
    Map.prototype.get = get;
  }
  expect(levels).toBeLessThanOrEqual(14);
});
