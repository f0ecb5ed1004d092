/** An index that does what a test wants of it, where a real one rarely does. */

import type { BitloomIndex, IndexStats } from '../../src/engine/index-api.ts';
import { openIndex } from '../../src/index.ts';
import type { OpenServedIndex } from '../../src/server/service.ts';

/** A real, empty index in this thread, with some of its answers replaced. */
export function openFake(
  definition: string,
  replaced: (real: BitloomIndex) => Partial<Omit<BitloomIndex, 'stats'>> & {
    stats?: (real: Promise<IndexStats>) => Promise<IndexStats>;
  },
): OpenServedIndex {
  return async () => {
    const real = await openIndex({ definition, inProcess: true });
    const { stats = (given) => given, ...others } = replaced(real);
    const fake: BitloomIndex = {
      load: (files, options) => real.load(files, options),
      query: (query) => real.query(query),
      count: (where) => real.count(where),
      apply: (batch, options) => real.apply(batch, options),
      close: () => real.close(),
      ...others,
      stats: (options) => stats(real.stats(options)),
    };
    return fake;
  };
}

/** A promise and the means to settle it. */
export function deferred<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}
