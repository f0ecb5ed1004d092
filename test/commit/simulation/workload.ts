/**
 * Clients with random transactions over few keys: lists that grow by read-modify-write or by APPEND_IF_FITS, counters,
 * transfers that read all accounts, a versionstamped log, blind sets and range clears, and reads of several things.
 * Every attempt that writes also writes a key of its own, so that the log tells which attempt was committed.
 */
import { bytesToLatin1 } from '../../../src/commit/byte-order.ts';
import { CommitError } from '../../../src/commit/commit-error.ts';
import type { CommitStore } from '../../../src/commit/commit-store.ts';
import type { Transaction } from '../../../src/commit/transaction.ts';
import { type Attempt, type Checker, MARKER } from './checker.ts';
import { POISON } from './database-double.ts';
import type { Process, World } from './world.ts';

const LIST_COUNT = 2;
const COUNTER_COUNT = 2;
const ACCOUNT_COUNT = 3;
const BLIND_COUNT = 3;

type Kind =
  | 'append'
  | 'append-blind'
  | 'add'
  | 'transfer'
  | 'log'
  | 'set'
  | 'poison'
  | 'clear-range'
  | 'read-list'
  | 'read-accounts'
  | 'read-log';

const KINDS: readonly Kind[] = [
  'append',
  'append',
  'append',
  'append-blind',
  'add',
  'transfer',
  'transfer',
  'log',
  'set',
  'clear-range',
  'read-list',
  'read-accounts',
  'read-log',
];
const READ_ONLY_KINDS: ReadonlySet<Kind> = new Set(['read-list', 'read-accounts', 'read-log']);

const ABORTED = new Error('the client does not want it any more');

/** A client lives in the process of its node and ends with it. */
export class Client {
  readonly #name: string;
  readonly #world: World;
  readonly #checker: Checker;
  readonly #store: CommitStore;
  readonly #process: Process;
  #attemptCount = 0;

  constructor(name: string, world: World, checker: Checker, store: CommitStore, process: Process) {
    this.#name = name;
    this.#world = world;
    this.#checker = checker;
    this.#store = store;
    this.#process = process;
  }

  /** A blind write that must succeed at once. */
  async probe(timeoutMs: number): Promise<void> {
    const attempt = this.#begin('set', this.#checker.acknowledgedVersion);
    try {
      const { attempts, version } = await this.#store.transact(
        (transaction) => act('set', transaction, attempt, 0),
        { timeoutMs },
      );
      this.#checker.onAnswer(attempt, 'committed', version);
      if (attempts > 1) this.#checker.fail('L3', `${attempt.token} took ${attempts} attempts`);
    } catch (error) {
      this.#checker.fail('L3', `${attempt.token} failed: ${String(error)}`);
    }
  }

  /** Runs one transaction and tells the checker how it ended. @returns whether that is unknown. */
  async transact(timeoutMs: number): Promise<boolean> {
    const world = this.#world;
    const kind = world.chance(0.02) ? 'poison' : world.pick(KINDS);
    const retryLimit = world.chance(0.2) ? world.between(0, 2) : 100;
    const pauseMs = world.chance(0.2) ? world.between(0, 400) : 0;
    const acknowledgedBefore = this.#checker.acknowledgedVersion;
    const seed = world.random.next();
    const abort = new AbortController();
    const cancelAbort = world.chance(0.1)
      ? world.schedule(world.between(0, 100), this.#process, () => abort.abort(ABORTED))
      : () => {};
    let attempt: Attempt | undefined;
    try {
      const { version } = await this.#store.transact(
        async (transaction) => {
          // A new attempt says that the one before has changed nothing.
          if (attempt !== undefined) this.#checker.onAnswer(attempt, 'failed', 0);
          attempt = this.#begin(kind, acknowledgedBefore);
          await act(kind, transaction, attempt, seed);
          if (attempt.reads.length > 0) attempt.readVersion = await transaction.readVersion();
          if (pauseMs > 0) await world.sleep(pauseMs, this.#process);
        },
        { timeoutMs, retryLimit, signal: abort.signal },
      );
      this.#world.note(() => `${attempt?.token} committed at ${version}`);
      if (attempt !== undefined) this.#checker.onAnswer(attempt, 'committed', version);
      return false;
    } catch (error) {
      this.#world.note(() => `${attempt?.token ?? this.#name} failed: ${String(error)}`);
      if (error === ABORTED) {
        if (attempt !== undefined) this.#checker.onAnswer(attempt, 'failed', 0);
        return false;
      }
      if (!(error instanceof CommitError)) throw error;
      if (!EXPECTED_CODES.has(error.code) && (kind !== 'poison' || error.code !== 'COMMIT_REJECTED'))
        this.#checker.fail('I19', `${kind} ends with ${error.code}: ${error.message}`);
      const isUnknown = error.code === 'COMMIT_UNKNOWN_RESULT';
      if (attempt !== undefined) this.#checker.onAnswer(attempt, isUnknown ? 'unknown' : 'failed', 0);
      return isUnknown;
    } finally {
      cancelAbort();
    }
  }

  #begin(kind: Kind, acknowledgedBefore: number): Attempt {
    const attempt: Attempt = {
      token: `${this.#name}.${++this.#attemptCount}`,
      reads: [],
      acknowledgedBefore,
      acknowledgedBeforeAttempt: this.#checker.acknowledgedVersion,
      isReadOnly: READ_ONLY_KINDS.has(kind),
      readVersion: undefined,
      end: 'open',
      commitVersion: 0,
    };
    this.#checker.attempts.set(attempt.token, attempt);
    this.#world.note(() => `${attempt.token} begins ${kind}`);
    return attempt;
  }
}

const EXPECTED_CODES: ReadonlySet<string> = new Set([
  'COMMIT_UNKNOWN_RESULT',
  'RETRY_LIMIT_REACHED',
  'TRANSACTION_TIMED_OUT',
  'STORE_CLOSED',
]);

/** Does the same in every attempt of a transaction, apart from what depends on reads. */
async function act(kind: Kind, transaction: Transaction, attempt: Attempt, seed: number): Promise<void> {
  const { token } = attempt;
  if (!attempt.isReadOnly) transaction.set(bytes(MARKER + token), bytes(''));
  switch (kind) {
    case 'append': {
      const key = `l${seed % LIST_COUNT}`;
      const [list] = await get(transaction, attempt, [key]);
      transaction.set(bytes(key), bytes(`${list ?? ''}${token},`));
      break;
    }
    case 'append-blind':
      transaction.atomic('APPEND_IF_FITS', bytes(`l${seed % LIST_COUNT}`), bytes(`${token},`));
      break;
    case 'add':
      transaction.atomic('ADD', bytes(`c${seed % COUNTER_COUNT}`), bytes('\x01\0\0\0'));
      break;
    case 'transfer': {
      const pairs = await getRange(transaction, attempt, 'a', 'b', 100, seed % 2 === 0);
      const amounts = new Map(pairs.map(([key, value]) => [key, Number(value)]));
      const source = `a${seed % ACCOUNT_COUNT}`;
      const target = `a${(seed + 1 + (seed % (ACCOUNT_COUNT - 1))) % ACCOUNT_COUNT}`;
      const amount = seed % 7;
      transaction.set(bytes(source), bytes(String((amounts.get(source) ?? 0) - amount)));
      transaction.set(bytes(target), bytes(String((amounts.get(target) ?? 0) + amount)));
      break;
    }
    case 'log':
      transaction.atomic('SET_VERSIONSTAMPED_KEY', bytes(`s${' '.repeat(10)}\x01\0\0\0`), bytes(token));
      transaction.atomic('SET_VERSIONSTAMPED_VALUE', bytes('v'), bytes(`${' '.repeat(10)}\0\0\0\0`));
      break;
    case 'set':
      transaction.set(bytes(`b${seed % BLIND_COUNT}`), bytes(token));
      break;
    case 'poison':
      transaction.set(bytes(POISON), bytes(token));
      break;
    case 'clear-range':
      transaction.clearRange(bytes(`b${seed % BLIND_COUNT}`), bytes('c'));
      break;
    case 'read-list':
      await get(transaction, attempt, ['l0', `c${seed % COUNTER_COUNT}`]);
      await get(transaction, attempt, ['l1']);
      break;
    case 'read-accounts':
      await getRange(transaction, attempt, 'a', 'c', 1 + (seed % 4), seed % 2 === 0);
      await get(transaction, attempt, ['b0']);
      break;
    case 'read-log':
      await getRange(transaction, attempt, 's', 't', 2, true);
      await getRange(transaction, attempt, 's', 't', 100, false);
  }
}

async function get(
  transaction: Transaction,
  attempt: Attempt,
  keys: readonly string[],
): Promise<(string | undefined)[]> {
  const values = await Promise.all(keys.map((key) => transaction.get(bytes(key))));
  return values.map((value, i) => {
    const text = value === undefined ? undefined : bytesToLatin1(value);
    attempt.reads.push({ kind: 'get', key: keys[i], value: text });
    return text;
  });
}

async function getRange(
  transaction: Transaction,
  attempt: Attempt,
  begin: string,
  end: string,
  limit: number,
  reverse: boolean,
): Promise<[string, string][]> {
  const pairs: [string, string][] = [];
  for await (const { key, value } of transaction.getRange(bytes(begin), bytes(end), { limit, reverse })) {
    pairs.push([bytesToLatin1(key), bytesToLatin1(value)]);
  }
  attempt.reads.push({ kind: 'range', begin, end, limit, reverse, pairs });
  return pairs;
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
