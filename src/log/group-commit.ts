/**
 * The queue of records on their way into the log, and whose turn it is at its end. Records that wait while a flush is under
 * way share the next one. After a failure everyone who waits is refused, and so is everyone who comes, until `retryDelayMs`
 * have passed or `recover` is called; then the tail is repaired first.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BitloomError } from '../errors.ts';
import { LOG_GROUP_BYTES_MAX, LOG_QUEUE_BYTES_MAX, LOG_RECORD_BYTES_MAX } from '../limits.ts';
import type { LogPosition } from './log-position.ts';
import type { LogTail, PendingRecord } from './log-tail.ts';

interface QueuedRecord extends PendingRecord {
  readonly resolve: (position: LogPosition) => void;
  readonly reject: (error: BitloomError) => void;
}

export class GroupCommit {
  readonly #tail: LogTail;
  readonly #directory: string;
  readonly #flushDelayMs: number;
  readonly #retryDelayMs: number;
  #queue: QueuedRecord[] = [];
  #queuedBytes = 0;
  /** Under way while the queue is being emptied. */
  #committing: Promise<void> | null = null;
  /** The last of those who take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #failure: NodeJS.ErrnoException | null = null;
  #retryAtMs = 0;
  #isClosed = false;
  #appends = 0;
  #appendedBytes = 0;

  constructor(tail: LogTail, directory: string, flushDelayMs: number, retryDelayMs: number) {
    this.#tail = tail;
    this.#directory = directory;
    this.#flushDelayMs = flushDelayMs;
    this.#retryDelayMs = retryDelayMs;
  }

  get state(): 'writable' | 'failed' | 'closed' {
    if (this.#isClosed) return 'closed';
    return this.#failure === null ? 'writable' : 'failed';
  }

  get failure(): Error | null {
    return this.#failure;
  }

  /** Bytes of records that wait to be durable. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Records that became durable, and their bytes. */
  get appends(): number {
    return this.#appends;
  }

  get appendedBytes(): number {
    return this.#appendedBytes;
  }

  append(payload: Uint8Array): Promise<LogPosition> {
    const refusal = this.#refusalOf(payload);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#queue.push({ payload, position: null, resolve, reject });
      this.#queuedBytes += payload.length;
      this.#committing ??= this.#commitQueue();
    });
  }

  recover(): Promise<void> {
    return this.inTurn(async () => {
      if (this.#isClosed) throw this.#closed();
      await this.#attempt(() => this.#repairIfFailed());
      if (this.#failure !== null) throw this.#unwritable();
    });
  }

  /** Runs alone at the end of the log, after everyone who asked before. */
  inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const acting = this.#turn.then(act);
    this.#turn = acting.catch(() => {});
    return acting;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#committing;
    await this.inTurn(() => this.#tail.close());
  }

  #refusalOf(payload: Uint8Array): BitloomError | null {
    if (this.#isClosed) return this.#closed();
    if (payload.length > LOG_RECORD_BYTES_MAX) {
      return new BitloomError(
        'LOG_RECORD_TOO_LARGE',
        `a record of ${payload.length} bytes is more than the op log takes (${LOG_RECORD_BYTES_MAX})`,
        { hint: 'send smaller batches' },
      );
    }
    if (this.#failure !== null && performance.now() < this.#retryAtMs) return this.#unwritable();
    if (this.#queuedBytes + payload.length > LOG_QUEUE_BYTES_MAX) {
      return new BitloomError(
        'LOG_OVERLOADED',
        `${this.#queuedBytes} bytes wait for the op log's disk already (of ${LOG_QUEUE_BYTES_MAX})`,
        { hint: 'wait for appends to resolve, then try again', details: { retryable: true } },
      );
    }
    return null;
  }

  /** Takes groups from the queue until it is empty. */
  async #commitQueue(): Promise<void> {
    // At least to the end of the caller's turn: appends made together are flushed together.
    await (this.#flushDelayMs > 0 ? sleep(this.#flushDelayMs) : null);
    while (this.#queue.length > 0) await this.inTurn(() => this.#commitGroup());
    this.#committing = null;
  }

  async #commitGroup(): Promise<void> {
    const group = this.#takeGroup();
    await this.#attempt(async () => {
      await this.#repairIfFailed();
      await this.#tail.append(group);
    });
    for (const record of group) this.#settle(record);
    // Those who wait are refused like those who come now.
    if (this.#failure !== null) for (const record of this.#takeAll()) this.#settle(record);
  }

  #settle(record: QueuedRecord): void {
    this.#queuedBytes -= record.payload.length;
    if (this.#tail.isDurable(record)) {
      this.#appends++;
      this.#appendedBytes += record.payload.length;
      record.resolve(record.position!);
    } else {
      record.reject(this.#unwritable());
    }
  }

  #takeGroup(): QueuedRecord[] {
    let bytes = 0;
    const count =
      this.#queue.findIndex(({ payload }) => (bytes += payload.length) >= LOG_GROUP_BYTES_MAX) + 1;
    return count === 0 ? this.#takeAll() : this.#queue.splice(0, count);
  }

  #takeAll(): QueuedRecord[] {
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  async #repairIfFailed(): Promise<void> {
    if (this.#failure === null) return;
    await this.#tail.repair();
    this.#failure = null;
  }

  /** Whatever is thrown makes the log failed. */
  async #attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#failure = error as Error;
      this.#retryAtMs = performance.now() + this.#retryDelayMs;
    }
  }

  #unwritable(): BitloomError {
    const cause = this.#failure;
    return new BitloomError(
      'LOG_UNWRITABLE',
      `the op log in ${this.#directory} cannot be written: ${cause?.message}`,
      {
        hint: 'make room on the disk or repair it, then send the batch again; the log tries again by itself',
        details: { retryable: true, systemCode: cause?.code ?? null },
        cause,
      },
    );
  }

  #closed(): BitloomError {
    return new BitloomError('LOG_CLOSED', `the op log in ${this.#directory} is closed`, {
      hint: 'open it again',
    });
  }
}
