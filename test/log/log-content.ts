/** Reading logs back and comparing. */
import { expect } from 'vitest';
import type { LogPosition } from '../../src/log/log-position.ts';
import type { OpLog } from '../../src/log/op-log.ts';

export interface ReadBack {
  sequence: number;
  payload: Uint8Array;
}

export async function readAll(log: OpLog, from: LogPosition | null = null): Promise<ReadBack[]> {
  const records: ReadBack[] = [];
  for await (const { position, payload } of log.read(from))
    records.push({ sequence: position.sequence, payload });
  return records;
}

export function areSame(found: readonly ReadBack[], expected: readonly ReadBack[]): boolean {
  return (
    found.length === expected.length &&
    found.every(
      ({ sequence, payload }, i) =>
        sequence === expected[i]!.sequence && Buffer.compare(payload, expected[i]!.payload) === 0,
    )
  );
}

export function expectRecords(found: readonly ReadBack[], expected: readonly ReadBack[]): void {
  expect(found.map(({ sequence }) => sequence)).toEqual(expected.map(({ sequence }) => sequence));
  expect(areSame(found, expected), 'the payloads are the same').toBe(true);
}
