/** Puts requests into the queue past every client, and waits for what becomes of them. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesToHex } from '../../../src/commit/byte-order.ts';
import type { CommitStorage, Outcome } from '../../../src/commit/commit-storage.ts';

const POLL_MS = 10;
const WAIT_MS_MAX = 40_000;

export class QueueInjector {
  readonly #storage: CommitStorage;
  readonly #identity = randomBytes(8);
  #count = 0n;

  constructor(storage: CommitStorage) {
    this.#storage = storage;
  }

  newId(): Uint8Array {
    const id = Buffer.alloc(16);
    id.set(this.#identity);
    id.writeBigUInt64BE(this.#count++, 8);
    return new Uint8Array(id);
  }

  /** In one statement, so that one batch claims them, as far as its limits allow. */
  async send(
    requests: readonly { readonly id: Uint8Array; readonly payload: Uint8Array }[],
    ring = true,
  ): Promise<void> {
    await this.#storage.enqueue(
      requests.map(({ id, payload }) => ({ id, node: 'nobody', payload })),
      ring,
    );
  }

  /** @returns an outcome for each id. */
  async wait(ids: readonly Uint8Array[]): Promise<Outcome[]> {
    const deadlineMs = performance.now() + WAIT_MS_MAX;
    for (;;) {
      const found = new Map(
        (await this.#storage.outcomes(ids)).map((outcome) => [bytesToHex(outcome.id), outcome]),
      );
      if (found.size === ids.length) return ids.map((id) => found.get(bytesToHex(id))!);
      if (performance.now() > deadlineMs) throw new Error(`${found.size} outcomes of ${ids.length}`);
      await sleep(POLL_MS);
    }
  }

  async run(payloads: readonly Uint8Array[]): Promise<Outcome[]> {
    const requests = payloads.map((payload) => ({ id: this.newId(), payload }));
    await this.send(requests);
    return await this.wait(requests.map(({ id }) => id));
  }
}
