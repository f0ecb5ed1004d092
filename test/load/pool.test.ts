/** The pool's side of the thread boundary. */
import { expect, test } from 'vitest';
import { LoadPool } from '../../src/load/pool.ts';
import { temporaryDirectory } from '../temporary.ts';

const temporary = temporaryDirectory();

test('a thread that cannot start fails the task instead of leaving it to wait', async () => {
  const pool = new LoadPool(1, new URL(`file://${temporary.path}/missing.js`));
  try {
    await expect(pool.run({ kind: 'resolve', messages: [] })).rejects.toMatchObject({
      code: 'WORKER_CRASHED',
    });
  } finally {
    await pool.close();
  }
});

test('the error of a task arrives with its code', async () => {
  const pool = new LoadPool(1);
  try {
    const failing = pool.run({
      kind: 'merge',
      merges: [
        {
          kind: 'alive',
          merge: { messages: [], previous: new Uint8Array(new SharedArrayBuffer(1)), space: null },
        },
      ],
    });
    await expect(failing).rejects.toMatchObject({ code: 'SEGMENT_INVALID' });
    expect(await pool.run({ kind: 'resolve', messages: [] })).toMatchObject({ duplicateRows: 0 });
  } finally {
    await pool.close();
  }
});
