/**
 * First reads of all transactions of a node. Each takes the latest version there is when it arrives at the database, so
 * those that wait while a statement is under way share the next one, and with it the snapshot.
 */
import type { Clock } from './clock.ts';
import { READ_GROUP_KEYS_MAX, READ_GROUP_PATIENCE_MS, READ_GROUPS_IN_FLIGHT_MAX } from './commit-limits.ts';
import type { CommitStorage, KeyRange } from './commit-storage.ts';
import type { TransactionReader } from './transaction.ts';

type Values = Awaited<ReturnType<CommitStorage['get']>>;

interface WaitingRead {
  readonly keys: readonly Uint8Array[];
  readonly resolve: (values: Values) => void;
  readonly reject: (error: unknown) => void;
}

export class GroupedReads implements TransactionReader {
  readonly #storage: TransactionReader;
  readonly #clock: Clock;
  readonly #waiting: WaitingRead[] = [];
  #inFlight = 0;
  /** Of those in flight, the ones that nobody waits for any more. */
  #slow = 0;

  constructor(storage: TransactionReader, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  get(keys: readonly Uint8Array[], asOf: number | undefined): Promise<Values> {
    if (asOf !== undefined) return this.#storage.get(keys, asOf);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ keys, resolve, reject });
      this.#send();
    });
  }

  getRange(
    range: KeyRange,
    options: Parameters<CommitStorage['getRange']>[1],
    asOf: number | undefined,
  ): ReturnType<CommitStorage['getRange']> {
    return this.#storage.getRange(range, options, asOf);
  }

  /** One statement at a time makes the largest groups: with two, each carries half and costs nearly the same. */
  #send(): void {
    if (this.#waiting.length === 0 || this.#inFlight > this.#slow) return;
    if (this.#inFlight === READ_GROUPS_IN_FLIGHT_MAX) return;
    this.#inFlight++;
    let isSlow = false;
    const cancel = this.#clock.after(READ_GROUP_PATIENCE_MS, () => {
      isSlow = true;
      this.#slow++;
      this.#send();
    });
    void this.#read(this.#takeGroup()).finally(() => {
      cancel();
      if (isSlow) this.#slow--;
      this.#inFlight--;
      this.#send();
    });
  }

  /** At least one read, and as many more as fit a statement. */
  #takeGroup(): WaitingRead[] {
    let keyCount = 0;
    const tooMany = this.#waiting.findIndex(({ keys }, index) => {
      keyCount += keys.length;
      return index > 0 && keyCount > READ_GROUP_KEYS_MAX;
    });
    return this.#waiting.splice(0, tooMany < 0 ? this.#waiting.length : tooMany);
  }

  async #read(group: readonly WaitingRead[]): Promise<void> {
    try {
      const { version, values } = await this.#storage.get(
        group.flatMap(({ keys }) => keys),
        undefined,
      );
      let from = 0;
      for (const { keys, resolve } of group) {
        resolve({ version, values: values.slice(from, from + keys.length) });
        from += keys.length;
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}
