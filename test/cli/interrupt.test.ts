import { expect, test } from 'vitest';
import { Interrupted, withInterrupt } from '../../src/cli/interrupt.ts';

test('a signal aborts the operation, whose failure is then an interruption', async () => {
  const ended = withInterrupt(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')));
        process.emit('SIGINT');
      }),
  );
  await expect(ended).rejects.toBeInstanceOf(Interrupted);
});

test('a failure without a signal stays what it is', async () => {
  await expect(withInterrupt(() => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
});

test('handlers are given back, also after a failure', async () => {
  const before = process.listenerCount('SIGINT');
  await withInterrupt(async () => expect(process.listenerCount('SIGINT')).toBe(before + 1));
  await withInterrupt(() => Promise.reject(new Error('x'))).catch(() => {});
  expect(process.listenerCount('SIGINT')).toBe(before);
});
