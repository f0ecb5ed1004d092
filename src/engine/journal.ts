/**
 * Where accepted batches are kept until the base has them: the op log of the directory, or memory for an index without
 * one. Both give them back after a position, in order.
 */
import { BitloomError } from '../errors.ts';
import { JOURNAL_BYTES_MAX } from '../limits.ts';
import { LOG_START, type LogPosition } from '../log/log-position.ts';
import type { LogRecord } from '../log/log-reader.ts';
import type { OpLog } from '../log/op-log.ts';

export type Journal = Pick<OpLog, 'append' | 'read' | 'removeBelow' | 'close'>;

/** Holds payloads as they were given. */
export class MemoryJournal implements Journal {
  #records: LogRecord[] = [];
  #end = LOG_START;
  #bytes = 0;

  append(payload: Uint8Array): Promise<LogPosition> {
    if (this.#bytes + payload.length > JOURNAL_BYTES_MAX) {
      return Promise.reject(
        new BitloomError('LOG_OVERLOADED', `${this.#bytes} bytes of ops wait for the end of a load`, {
          hint: 'send the batch again after the load, or open the index with a directory',
          details: { retryable: true },
        }),
      );
    }
    this.#bytes += payload.length;
    this.#end = { sequence: this.#end.sequence + 1, offset: 0 };
    this.#records.push({ position: this.#end, payload });
    return Promise.resolve(this.#end);
  }

  async *read(from: LogPosition | null): AsyncGenerator<LogRecord> {
    for (let sequence = (from?.sequence ?? 0) + 1; sequence <= this.#end.sequence; sequence++) {
      yield this.#records[sequence - this.#firstSequence()];
    }
  }

  async removeBelow(position: LogPosition): Promise<void> {
    const count = Math.max(0, position.sequence + 1 - this.#firstSequence());
    for (const { payload } of this.#records.splice(0, count)) this.#bytes -= payload.length;
  }

  async close(): Promise<void> {
    this.#records = [];
  }

  #firstSequence(): number {
    return this.#end.sequence - this.#records.length + 1;
  }
}
