/** Floors are what was durable a window ago, whatever windows are asked for. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PruneSchedule } from '../../src/commit/prune-schedule.ts';

const WINDOW_MS_MAX = 100;

test('a floor is the last version that was noted a window ago', () => {
  const step = fc.record({ afterMs: fc.nat(40), growth: fc.nat(3), windowMs: fc.nat(WINDOW_MS_MAX) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const schedule = new PruneSchedule(WINDOW_MS_MAX);
      const notes: { atMs: number; version: number }[] = [];
      let [atMs, version] = [0, 0];
      for (const { afterMs, growth, windowMs } of steps) {
        atMs += afterMs;
        version += growth;
        schedule.note(atMs, version);
        notes.push({ atMs, version });
        const old = notes.filter((note) => note.atMs <= atMs - windowMs);
        expect(schedule.floor(atMs, windowMs)).toBe(old.at(-1)?.version ?? 0);
      }
    }),
  );
});
