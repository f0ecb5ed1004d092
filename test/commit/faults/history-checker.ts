/**
 * What must hold of a history of transactions and of what the database holds in the end. Pure, and knows nothing of how
 * the protocol works.
 *
 * Every attempt that writes also appends its token to a versionstamped log, so the final state tells which attempts were
 * committed, in which order, and whether any was twice. The log is replayed in that order and everything that was read
 * is held against it, as of the snapshot it was read in and, for what the attempt protected, as of its commit.
 */
import { Model, type Read, type Write } from './model.ts';

/** One run of a transaction's function and what became of it. */
export interface Attempt {
  /** Unique, without commas. */
  readonly token: string;
  readonly process: string;
  /** By the clock that all processes share. */
  readonly invokedAtNs: number;
  /** Null when the process ended before it had an answer. */
  readonly answeredAtNs: number | null;
  readonly outcome: 'committed' | 'not committed' | 'unknown';
  /** The commit version; of an attempt that only read, that of its snapshot. Null unless committed. */
  readonly version: number | null;
  /** Of `not committed`: the code of the error. */
  readonly refusal: string | null;
  /** Null without reads. */
  readonly snapshotVersion: number | null;
  readonly reads: readonly Read[];
  /** Empty for an attempt that only read. */
  readonly writes: readonly Write[];
  /** The request was complete, so that it can have been sent. */
  readonly isSent: boolean;
}

export type Rule =
  | 'applied twice'
  | 'applied though refused'
  | 'applied though never sent'
  | 'lost'
  | 'wrong version'
  | 'real time'
  | 'snapshot'
  | 'serialisability'
  | 'list'
  | 'total'
  | 'log'
  | 'refused for nothing'
  | 'final state';

export interface Violation {
  readonly rule: Rule;
  readonly what: string;
}

export interface History {
  readonly attempts: readonly Attempt[];
  /** Every pair of the database, keys ascending. */
  readonly finalState: readonly (readonly [key: string, value: string])[];
  /** The sum of all accounts. */
  readonly total: number;
}

/** Keys are text; the version in the key of a log entry is padded, so that text order is version order. */
export const LOG_PREFIX = 'v/';
export const LIST_PREFIX = 'l/';
export const ACCOUNT_PREFIX = 'a/';
const VERSION_DIGITS = 16;

export function logKey(version: number): string {
  return LOG_PREFIX + String(version).padStart(VERSION_DIGITS, '0');
}

/** The end of the range of keys that start with a prefix. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

interface Entry {
  readonly version: number;
  readonly token: string;
}

export function checkHistory(history: History): Violation[] {
  return new HistoryChecker(history).check();
}

class HistoryChecker {
  readonly #history: History;
  readonly #violations: Violation[] = [];
  readonly #attempts: ReadonlyMap<string, Attempt>;
  readonly #log: readonly Entry[];
  readonly #versions = new Map<string, number>();

  constructor(history: History) {
    this.#history = history;
    this.#attempts = new Map(history.attempts.map((attempt) => [attempt.token, attempt]));
    this.#log = history.finalState
      .filter(([key]) => key.startsWith(LOG_PREFIX))
      .map(([key, token]) => ({ version: Number(key.slice(LOG_PREFIX.length)), token }));
  }

  check(): Violation[] {
    this.#checkOutcomes();
    this.#checkRealTime();
    this.#checkLists();
    this.#checkTotals();
    this.#checkLogReads();
    this.#replay();
    return this.#violations;
  }

  #fail(rule: Rule, what: string): void {
    this.#violations.push({ rule, what });
  }

  /** Acknowledged once, refused never, unknown at most once. */
  #checkOutcomes(): void {
    for (const { version, token } of this.#log) {
      const attempt = this.#attempts.get(token);
      const before = this.#versions.get(token);
      if (before !== undefined) this.#fail('applied twice', `${token} at versions ${before} and ${version}`);
      this.#versions.set(token, version);
      if (attempt === undefined || !attempt.isSent)
        this.#fail('applied though never sent', `${token} at ${version}`);
      else if (attempt.outcome === 'not committed') {
        this.#fail(
          'applied though refused',
          `${token}, refused with ${attempt.refusal}, is at version ${version}`,
        );
      }
    }
    for (const { token, outcome, version, writes } of this.#history.attempts) {
      if (outcome !== 'committed' || writes.length === 0) continue;
      const actual = this.#versions.get(token);
      if (actual === undefined) this.#fail('lost', `${token} was acknowledged at version ${version}`);
      else if (actual !== version)
        this.#fail('wrong version', `${token} was told ${version} and has ${actual}`);
    }
  }

  /** Whatever begins after an answer comes after what was answered. */
  #checkRealTime(): void {
    const answered = this.#history.attempts
      .flatMap((attempt) => {
        const version = attempt.writes.length > 0 ? this.#versions.get(attempt.token) : attempt.version;
        return attempt.answeredAtNs === null || version === undefined || version === null
          ? []
          : [{ atNs: attempt.answeredAtNs, version, token: attempt.token }];
      })
      .sort((left, right) => left.atNs - right.atNs);
    const invoked = this.#history.attempts.toSorted((left, right) => left.invokedAtNs - right.invokedAtNs);
    let highest = { version: 0, token: 'nothing' };
    let next = 0;
    for (const { token, invokedAtNs, snapshotVersion, writes } of invoked) {
      for (; next < answered.length && answered[next].atNs < invokedAtNs; next++) {
        if (answered[next].version > highest.version) highest = answered[next];
      }
      const version = writes.length > 0 ? this.#versions.get(token) : undefined;
      if (version !== undefined && version <= highest.version) {
        this.#fail(
          'real time',
          `${token} has version ${version}, after ${highest.token} had ${highest.version}`,
        );
      }
      if (snapshotVersion !== null && snapshotVersion < highest.version) {
        this.#fail(
          'real time',
          `${token} read at ${snapshotVersion}, after ${highest.token} had ${highest.version}`,
        );
      }
    }
  }

  /** Elements are unique, their versions ascend, and who read the list saw exactly the elements before its own. */
  #checkLists(): void {
    for (const [key, value] of this.#history.finalState) {
      if (!key.startsWith(LIST_PREFIX)) continue;
      const seen = new Set<string>();
      let before = '';
      let highest = 0;
      for (const element of value.split(',').slice(0, -1)) {
        if (seen.has(element)) this.#fail('list', `${key} has ${element} twice`);
        seen.add(element);
        const version = this.#versions.get(element) ?? 0;
        if (version <= highest)
          this.#fail('list', `${element} of ${key} has version ${version} after ${highest}`);
        highest = Math.max(highest, version);
        for (const read of this.#attempts.get(element)?.reads ?? []) {
          if (read.kind === 'get' && read.key === key && !read.snapshot && (read.value ?? '') !== before) {
            this.#fail('list', `${element} read ${key} as '${read.value}', before it is '${before}'`);
          }
        }
        before += `${element},`;
      }
    }
  }

  #checkTotals(): void {
    const { attempts, finalState, total } = this.#history;
    const check = (pairs: readonly (readonly [string, string])[], where: string) => {
      const sum = pairs.reduce((sum, [, balance]) => sum + Number(balance), 0);
      if (sum !== total) this.#fail('total', `the accounts hold ${sum} instead of ${total} ${where}`);
    };
    for (const { token, reads } of attempts) {
      for (const read of reads) {
        if (read.kind !== 'range' || read.begin !== ACCOUNT_PREFIX || read.limit < Number.MAX_SAFE_INTEGER)
          continue;
        if (read.pairs.length > 0) check(read.pairs, `in the snapshot of ${token}`);
      }
    }
    check(
      finalState.filter(([key]) => key.startsWith(ACCOUNT_PREFIX)),
      'in the end',
    );
  }

  /** Nothing ever appears in the log before what a reader has seen. */
  #checkLogReads(): void {
    const keys = this.#log.map(({ version }) => logKey(version));
    for (const { token, reads } of this.#history.attempts) {
      for (const read of reads) {
        if (read.kind !== 'range' || !read.begin.startsWith(LOG_PREFIX)) continue;
        const from = firstAtLeast(keys, read.begin);
        const differs = read.pairs.findIndex(([key, value], at) => {
          const entry = this.#log[from + at];
          return entry === undefined || key !== logKey(entry.version) || value !== entry.token;
        });
        if (differs < 0) continue;
        this.#fail('log', `${token} saw ${read.pairs[differs][0]} where the log has ${keys[from + differs]}`);
      }
    }
  }

  #replay(): void {
    const model = new Model();
    const bySnapshot = this.#history.attempts
      .filter(({ snapshotVersion }) => snapshotVersion !== null)
      .sort((left, right) => left.snapshotVersion! - right.snapshotVersion!);
    let next = 0;
    const checkSnapshots = (before: number) => {
      for (; next < bySnapshot.length && bySnapshot[next].snapshotVersion! < before; next++) {
        const attempt = bySnapshot[next];
        for (const read of attempt.reads) this.#checkRead('snapshot', model, attempt, read);
      }
    };
    for (const { version, token } of this.#log) {
      checkSnapshots(version);
      const attempt = this.#attempts.get(token);
      for (const read of attempt?.reads ?? []) {
        if (isProtected(read)) this.#checkRead('serialisability', model, attempt!, read);
      }
      model.apply(version, attempt?.writes ?? [], attempt?.invokedAtNs ?? 0);
      model.set(logKey(version), token);
    }
    checkSnapshots(Number.POSITIVE_INFINITY);
    this.#checkFinalState(model);
    for (const attempt of this.#history.attempts) this.#checkRefusal(model, attempt);
  }

  #checkRead(rule: Rule, model: Model, { token, snapshotVersion }: Attempt, read: Read): void {
    const actual = JSON.stringify(read.kind === 'get' ? read.value : read.pairs);
    const expected = JSON.stringify(
      read.kind === 'get' ? (model.get(read.key) ?? null) : model.range(read.begin, read.end, read.limit),
    );
    if (actual === expected) return;
    const what = read.kind === 'get' ? read.key : `${read.begin}..${read.end}`;
    this.#fail(rule, `${token} at ${snapshotVersion} read ${what} as ${actual}, not ${expected}`);
  }

  #checkFinalState(model: Model): void {
    const actual = new Map(this.#history.finalState);
    for (const [key, value] of model.entries()) {
      if (actual.get(key) !== value) {
        this.#fail('final state', `${key} is '${actual.get(key)}' in the end and should be '${value}'`);
      }
      actual.delete(key);
    }
    for (const [key, value] of actual)
      this.#fail('final state', `${key} is '${value}' and should not be there`);
  }

  /** Conflicts are with somebody; who reads nothing, or writes nothing, has none and is never too late. */
  #checkRefusal(model: Model, attempt: Attempt): void {
    const { token, refusal, reads, writes, snapshotVersion, answeredAtNs } = attempt;
    if (refusal !== 'NOT_COMMITTED' && refusal !== 'TRANSACTION_TOO_OLD') return;
    const protectedReads = reads.filter(isProtected);
    const isBlind = attempt.isSent && protectedReads.length === 0;
    if (isBlind) this.#fail('refused for nothing', `${token} read nothing and ended as ${refusal}`);
    if (refusal === 'TRANSACTION_TOO_OLD' || isBlind) return;
    if (writes.length === 0)
      this.#fail('refused for nothing', `${token} wrote nothing and ended as ${refusal}`);
    else if (!model.wasWritten(protectedReads, snapshotVersion!, answeredAtNs!)) {
      this.#fail('refused for nothing', `${token} read at ${snapshotVersion} and nobody wrote that since`);
    }
  }
}

function isProtected(read: Read): boolean {
  return read.kind === 'range' || read.snapshot !== true;
}

function firstAtLeast(keys: readonly string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
