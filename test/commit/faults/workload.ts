/**
 * Clients with random transactions over few keys: lists that grow by read-modify-write or by APPEND_IF_FITS, counters,
 * transfers between accounts, blind writes, and readers of all of it. Every attempt that writes appends its token to the
 * versionstamped log, which followers of the log read on and on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CommitError } from '../../../src/commit/commit-error.ts';
import type { CommitStore } from '../../../src/commit/commit-store.ts';
import type { Transaction } from '../../../src/commit/transaction.ts';
import { ACCOUNT_PREFIX, LOG_PREFIX, logKey, prefixEnd } from './history-checker.ts';
import { type HistoryWriter, nowNs } from './history-file.ts';
import { COUNTER_PREFIX, counterOperand, keyOf, logKeyTemplate, pairText, valueText } from './key-text.ts';
import type { Read, Write } from './model.ts';

/** All accounts together, always. */
export const ACCOUNTS_TOTAL = 600;

const ACCOUNT_COUNT = 6;
const COUNTER_COUNT = 3;
const BLIND_COUNT = 4;
const LIST_COUNT = 3;
/** Lists are new so often, lest they grow without bound. */
const LIST_LIFE_NS = 1e9;
/** The most entries that a follower of the log reads at a time. */
const LOG_PAGE = 300;

/** Attempts of one transaction. */
const ATTEMPTS_MAX = 1_000;

type Kind = 'append' | 'append-blind' | 'add' | 'transfer' | 'blind' | 'clear' | 'read' | 'follow-log';

/** The commoner, the more often. */
const KINDS: readonly Kind[] = [
  'append',
  'append',
  'append',
  'append-blind',
  'add',
  'transfer',
  'transfer',
  'blind',
  'clear',
  'read',
  'follow-log',
];

export interface ClientOptions {
  readonly store: CommitStore;
  readonly history: HistoryWriter;
  /** Unique. */
  readonly name: string;
  /** For one transaction, all its attempts. */
  readonly timeoutMs: number;
  readonly pauseMsMax: number;
}

export class Client {
  readonly #options: ClientOptions;
  #transactions = 0;
  /** The follower's place in the log: all before has been seen. */
  #logVersion = 0;
  #isStopped = false;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Fills the accounts, where nobody has. */
  async setUp(): Promise<void> {
    await this.#transact(async (recorder) => {
      const pairs = await recorder.range(ACCOUNT_PREFIX, prefixEnd(ACCOUNT_PREFIX));
      for (let at = 0; at < ACCOUNT_COUNT && pairs.length === 0; at++) {
        recorder.set(`${ACCOUNT_PREFIX}${at}`, String(ACCOUNTS_TOTAL / ACCOUNT_COUNT));
      }
      recorder.log();
    });
  }

  /** Until it is stopped, or the store is closed. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      const kind = KINDS[below(KINDS.length)];
      const listed = Math.floor(nowNs() / LIST_LIFE_NS);
      await this.#transact((recorder) => this.#act(kind, recorder, listed));
      await sleep(below(this.#options.pauseMsMax + 1));
    }
  }

  /** Retries by itself, so that it knows how each attempt ended. */
  async #transact(act: (recorder: Recorder) => Promise<void>): Promise<void> {
    const { store, history, name, timeoutMs } = this.#options;
    const transaction = ++this.#transactions;
    const deadlineMs = performance.now() + timeoutMs;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX && performance.now() < deadlineMs; attempt++) {
      const token = `${name}.${transaction}.${attempt}`;
      history.begin(token);
      try {
        const { version } = await store.transact(
          async (transaction) => {
            const recorder = new Recorder(transaction, token);
            await act(recorder);
            history.act(token, await recorder.finish());
          },
          { timeoutMs: deadlineMs - performance.now(), retryLimit: 0 },
        );
        history.end(token, { outcome: 'committed', version, refusal: null });
        return;
      } catch (error) {
        const code = codeOf(error);
        const outcome = code === 'COMMIT_UNKNOWN_RESULT' ? 'unknown' : 'not committed';
        history.end(token, { outcome, version: null, refusal: code });
        if (code === 'STORE_CLOSED') this.stop();
        if (!RETRIED_CODES.has(code)) return;
        await sleep(2 + below(20) * Math.min(attempt, 5));
      }
    }
  }

  async #act(kind: Kind, recorder: Recorder, listed: number): Promise<void> {
    const list = (at: number) => `l/${listed}/${at}`;
    switch (kind) {
      case 'append': {
        const lists = Array.from({ length: 1 + below(LIST_COUNT) }, (_, at) => list(at));
        const values = await Promise.all(lists.map((key) => recorder.get(key)));
        for (const [at, key] of lists.entries()) recorder.set(key, `${values[at] ?? ''}${recorder.token},`);
        break;
      }
      case 'append-blind':
        recorder.append(list(below(LIST_COUNT)));
        break;
      case 'add':
        await recorder.get(`${COUNTER_PREFIX}${below(COUNTER_COUNT)}`, true);
        recorder.add(`${COUNTER_PREFIX}${below(COUNTER_COUNT)}`, 1 + below(5));
        break;
      case 'transfer': {
        const pairs = await recorder.range(ACCOUNT_PREFIX, prefixEnd(ACCOUNT_PREFIX));
        const source = below(pairs.length);
        const target = (source + 1 + below(pairs.length - 1)) % pairs.length;
        const amount = below(10);
        recorder.set(pairs[source][0], String(Number(pairs[source][1]) - amount));
        recorder.set(pairs[target][0], String(Number(pairs[target][1]) + amount));
        break;
      }
      case 'blind':
        recorder.set(`b/${below(BLIND_COUNT)}`, recorder.token);
        break;
      case 'clear':
        recorder.clearRange(`b/${below(BLIND_COUNT)}`, prefixEnd('b/'));
        break;
      case 'read':
        // Others commit meanwhile, and what is read later is of the same moment.
        await recorder.get(list(0));
        await sleep(below(20));
        await recorder.range(ACCOUNT_PREFIX, prefixEnd(ACCOUNT_PREFIX));
        await Promise.all(
          [list(0), list(1), list(2), `${COUNTER_PREFIX}0`, 'b/1'].map((key) => recorder.get(key)),
        );
        await recorder.range('b/', prefixEnd('b/'));
        return;
      case 'follow-log': {
        const pairs = await recorder.range(logKey(this.#logVersion + 1), prefixEnd(LOG_PREFIX), LOG_PAGE);
        const last = pairs.at(-1);
        if (last !== undefined) this.#logVersion = Number(last[0].slice(LOG_PREFIX.length));
        return;
      }
    }
    recorder.log();
  }
}

const RETRIED_CODES: ReadonlySet<string> = new Set([
  'NOT_COMMITTED',
  'EXPIRED',
  'TRANSACTION_TOO_OLD',
  'THROTTLED',
  'DATABASE_UNREACHABLE',
]);

/** Of what kept the attempt from being committed. Requests that expired on the way are told from conflicts. */
function codeOf(error: unknown): string {
  if (!(error instanceof CommitError)) throw error;
  if (error.code !== 'RETRY_LIMIT_REACHED') return error.code;
  const { cause } = error;
  if (!(cause instanceof CommitError)) return error.code;
  return cause.code === 'NOT_COMMITTED' && cause.message.includes('expired') ? 'EXPIRED' : cause.code;
}

/** Does what the transaction does, and remembers it. */
class Recorder {
  readonly token: string;
  readonly #transaction: Transaction;
  readonly #reads: Read[] = [];
  readonly #writes: Write[] = [];

  constructor(transaction: Transaction, token: string) {
    this.#transaction = transaction;
    this.token = token;
  }

  async get(key: string, snapshot = false): Promise<string | null> {
    const bytes = await this.#transaction.get(keyOf(key), { snapshot });
    const value = bytes === undefined ? null : valueText(key, bytes);
    this.#reads.push({ kind: 'get', key, value, snapshot });
    return value;
  }

  async range(begin: string, end: string, limit = Number.MAX_SAFE_INTEGER): Promise<[string, string][]> {
    const pairs: [string, string][] = [];
    for await (const { key, value } of this.#transaction.getRange(keyOf(begin), keyOf(end), { limit })) {
      pairs.push(pairText(key, value));
    }
    this.#reads.push({ kind: 'range', begin, end, limit, pairs });
    return pairs;
  }

  set(key: string, value: string): void {
    this.#transaction.set(keyOf(key), Buffer.from(value));
    this.#writes.push({ kind: 'set', key, value });
  }

  append(key: string): void {
    this.#transaction.atomic('APPEND_IF_FITS', keyOf(key), Buffer.from(`${this.token},`));
    this.#writes.push({ kind: 'append', key, element: this.token });
  }

  add(key: string, amount: number): void {
    this.#transaction.atomic('ADD', keyOf(key), counterOperand(amount));
    this.#writes.push({ kind: 'add', key, amount });
  }

  clearRange(begin: string, end: string): void {
    this.#transaction.clearRange(keyOf(begin), keyOf(end));
    this.#writes.push({ kind: 'clearRange', begin, end });
  }

  log(): void {
    this.#transaction.atomic('SET_VERSIONSTAMPED_KEY', logKeyTemplate(), Buffer.from(this.token));
    this.#writes.push({ kind: 'log' });
  }

  async finish() {
    const snapshotVersion = this.#reads.length === 0 ? null : await this.#transaction.readVersion();
    return { snapshotVersion, reads: this.#reads, writes: this.#writes };
  }
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}
