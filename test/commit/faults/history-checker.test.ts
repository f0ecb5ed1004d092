/** Every kind of violation is found in a history made to have it, and none in one that has none. */
import { describe, expect, test } from 'vitest';
import { type Attempt, checkHistory, type History, logKey, type Rule } from './history-checker.ts';
import type { Read, Write } from './model.ts';

const TOTAL = 100;
const ALL = Number.MAX_SAFE_INTEGER;

/** By default it was committed, and took the tenth nanosecond after its version. */
function attempt(token: string, version: number | null, changes: Partial<Attempt> = {}): Attempt {
  const at = (version ?? 0) * 100;
  return {
    token,
    process: 'p',
    invokedAtNs: at,
    answeredAtNs: at + 10,
    outcome: 'committed',
    version,
    refusal: null,
    snapshotVersion: null,
    reads: [],
    writes: [{ kind: 'log' }],
    isSent: true,
    ...changes,
  };
}

function get(key: string, value: string | null, snapshot = false): Read {
  return { kind: 'get', key, value, snapshot };
}

function accounts(...balances: string[]): Read {
  const pairs = balances.map((balance, at) => [`a/${at}`, balance] as const);
  return { kind: 'range', begin: 'a/', end: 'a0', limit: ALL, pairs };
}

function log(from: number, ...entries: (readonly [number, string])[]): Read {
  const pairs = entries.map(([version, token]) => [logKey(version), token] as const);
  return { kind: 'range', begin: logKey(from), end: 'v0', limit: 10, pairs };
}

function set(key: string, value: string): Write {
  return { kind: 'set', key, value };
}

/** Opens the accounts at version 1, appends to a list at 2 and 3, adds at 4, moves 5 at 5, and reads all of it. */
function soundAttempts(): Attempt[] {
  return [
    attempt('open', 1, {
      snapshotVersion: 0,
      reads: [accounts()],
      writes: [set('a/0', '60'), set('a/1', '40')],
    }),
    attempt('w2', 2, { snapshotVersion: 1, reads: [get('l/x', null)], writes: [set('l/x', 'w2,')] }),
    attempt('w3', 3, { writes: [{ kind: 'append', key: 'l/x', element: 'w3' }] }),
    attempt('w4', 4, {
      snapshotVersion: 3,
      reads: [get('c/0', null, true)],
      writes: [{ kind: 'add', key: 'c/0', amount: 3 }],
    }),
    attempt('w5', 5, {
      snapshotVersion: 4,
      reads: [accounts('60', '40')],
      writes: [set('a/0', '55'), set('a/1', '45')],
    }),
    attempt('reader', 5, {
      invokedAtNs: 600,
      answeredAtNs: 610,
      snapshotVersion: 5,
      reads: [get('l/x', 'w2,w3,'), accounts('55', '45'), log(2, [2, 'w2'], [3, 'w3'], [4, 'w4'], [5, 'w5'])],
      writes: [],
    }),
    // Began before w3 and lost against it.
    attempt('loser', null, {
      invokedAtNs: 250,
      answeredAtNs: 330,
      outcome: 'not committed',
      refusal: 'NOT_COMMITTED',
      snapshotVersion: 2,
      reads: [get('l/x', 'w2,')],
      writes: [set('l/x', 'w2,loser,')],
    }),
    // Its process ended before the answer.
    attempt('lost', null, { invokedAtNs: 700, answeredAtNs: null, outcome: 'unknown' }),
  ];
}

const SOUND_STATE: readonly (readonly [string, string])[] = [
  ['a/0', '55'],
  ['a/1', '45'],
  ['c/0', '3'],
  ['l/x', 'w2,w3,'],
  [logKey(1), 'open'],
  [logKey(2), 'w2'],
  [logKey(3), 'w3'],
  [logKey(4), 'w4'],
  [logKey(5), 'w5'],
];

function sound(
  changes: Record<string, Partial<Attempt>> = {},
  state: Record<string, string | null> = {},
): History {
  const finalState = new Map(SOUND_STATE);
  for (const [key, value] of Object.entries(state)) {
    if (value === null) finalState.delete(key);
    else finalState.set(key, value);
  }
  return {
    attempts: soundAttempts().map((attempt) => ({ ...attempt, ...changes[attempt.token] })),
    finalState: Array.from(finalState).sort(([left], [right]) => (left < right ? -1 : 1)),
    total: TOTAL,
  };
}

function rulesOf(history: History): Set<Rule> {
  return new Set(checkHistory(history).map(({ rule }) => rule));
}

describe('a sound history', () => {
  test('has no violations', () => {
    expect(checkHistory(sound())).toEqual([]);
  });

  test('has none when what was unknown is there', () => {
    expect(checkHistory(sound({}, { [logKey(6)]: 'lost' }))).toEqual([]);
  });

  test('takes a cleared range for what it is', () => {
    const history = sound();
    const { attempts, finalState } = history;
    const cleared = attempt('w6', 6, { writes: [{ kind: 'clearRange', begin: 'c/', end: 'c0' }] });
    const state = finalState.filter(([key]) => key !== 'c/0');
    const ended = {
      ...history,
      attempts: [...attempts, cleared],
      finalState: [...state, [logKey(6), 'w6'] as const],
    };
    expect(checkHistory(ended)).toEqual([]);
    expect(rulesOf({ ...ended, finalState: [...finalState, [logKey(6), 'w6'] as const] })).toEqual(
      new Set(['final state']),
    );
  });
});

interface Case {
  readonly what: string;
  readonly rule: Rule;
  readonly history: History;
}

const CASES: readonly Case[] = [
  {
    what: 'an acknowledged commit is missing',
    rule: 'lost',
    history: sound({}, { [logKey(4)]: null, 'c/0': null }),
  },
  {
    what: 'a commit was acknowledged with a version that is not its own',
    rule: 'wrong version',
    history: sound({ w4: { version: 9 } }),
  },
  {
    what: 'an acknowledged commit is there twice',
    rule: 'applied twice',
    history: sound({}, { [logKey(6)]: 'w4', 'c/0': '6' }),
  },
  {
    what: 'an unknown one is there twice',
    rule: 'applied twice',
    history: sound({}, { [logKey(6)]: 'lost', [logKey(7)]: 'lost' }),
  },
  {
    what: 'a conflict was committed after all',
    rule: 'applied though refused',
    history: sound({}, { [logKey(6)]: 'loser' }),
  },
  {
    what: 'something was committed before it was complete',
    rule: 'applied though never sent',
    history: sound({ lost: { isSent: false } }, { [logKey(6)]: 'lost' }),
  },
  {
    what: 'something was committed that nobody knows',
    rule: 'applied though never sent',
    history: sound({}, { [logKey(6)]: 'stranger' }),
  },
  {
    what: 'a commit came before one that had been acknowledged when it began',
    rule: 'real time',
    history: sound({ w3: { invokedAtNs: 450, answeredAtNs: 460 } }),
  },
  {
    what: 'an unknown commit came before one that had been acknowledged when it began',
    rule: 'real time',
    history: sound({ w4: { outcome: 'unknown', version: null, answeredAtNs: null, invokedAtNs: 550 } }),
  },
  {
    what: 'something unknown was committed after it had been said that its end is final',
    rule: 'real time',
    history: sound(
      { lost: { invokedAtNs: 150, answeredAtNs: 160 }, w2: { snapshotVersion: null, reads: [] } },
      { [logKey(6)]: 'lost' },
    ),
  },
  {
    what: 'a reader saw less than had been acknowledged when it began',
    rule: 'real time',
    history: sound({
      reader: { version: 4, snapshotVersion: 4, reads: [accounts('60', '40')] },
    }),
  },
  {
    what: 'a reader saw less than an earlier reader',
    rule: 'real time',
    history: sound({
      w5: { answeredAtNs: 900 },
      lost: { writes: [], snapshotVersion: 4, reads: [accounts('60', '40')], outcome: 'unknown' },
    }),
  },
  {
    what: 'a snapshot held a write of later',
    rule: 'snapshot',
    history: sound({ w4: { reads: [get('c/0', '3', true)] } }),
  },
  {
    what: 'a snapshot missed a write',
    rule: 'snapshot',
    history: sound({ reader: { reads: [get('l/x', 'w2,')] } }),
  },
  {
    what: 'two reads of one transaction were of two moments',
    rule: 'snapshot',
    history: sound({ reader: { reads: [get('l/x', 'w2,w3,'), accounts('60', '40')] } }),
  },
  {
    what: 'a range missed a key',
    rule: 'snapshot',
    history: sound({ reader: { reads: [{ ...accounts('55'), limit: 2 } as Read] } }),
  },
  {
    what: 'a refused attempt read what never was',
    rule: 'snapshot',
    history: sound({ loser: { reads: [get('l/x', 'w9,')] } }),
  },
  {
    what: 'a commit read what was overwritten before it',
    rule: 'serialisability',
    history: sound({ w5: { snapshotVersion: 3, reads: [get('c/0', null), accounts('60', '40')] } }),
  },
  {
    what: 'an update was lost',
    rule: 'serialisability',
    history: sound(
      {
        w3: { snapshotVersion: 1, reads: [get('l/x', null)], writes: [set('l/x', 'w3,')] },
        loser: { reads: [] },
      },
      { 'l/x': 'w3,' },
    ),
  },
  {
    what: 'a list has an element twice',
    rule: 'list',
    history: sound({}, { 'l/x': 'w2,w3,w3,' }),
  },
  {
    what: 'the elements of a list are not in the order of their versions',
    rule: 'list',
    history: sound({}, { 'l/x': 'w3,w2,' }),
  },
  {
    what: 'who appended to a list had not read all before',
    rule: 'list',
    history: sound({ w3: { snapshotVersion: 1, reads: [get('l/x', null)] } }),
  },
  {
    what: 'a snapshot holds the half of a transfer',
    rule: 'total',
    history: sound({ reader: { reads: [accounts('55', '40')] } }),
  },
  {
    what: 'the accounts have lost something in the end',
    rule: 'total',
    history: sound({}, { 'a/1': '40' }),
  },
  {
    what: 'an entry appeared in the log before what a reader had seen',
    rule: 'log',
    history: sound({ reader: { reads: [log(2, [2, 'w2'], [4, 'w4'])] } }),
  },
  {
    what: 'a reader saw an entry of the log that is not there',
    rule: 'log',
    history: sound({ reader: { reads: [log(5, [5, 'w5'], [6, 'w6'])] } }),
  },
  {
    what: 'a conflict has no cause',
    rule: 'refused for nothing',
    history: sound({ loser: { snapshotVersion: 3, reads: [get('l/x', 'w2,w3,')] } }),
  },
  {
    what: 'a conflict has a cause that began after its answer',
    rule: 'refused for nothing',
    history: sound({ loser: { answeredAtNs: 290 } }),
  },
  {
    what: 'a transaction that read nothing had a conflict',
    rule: 'refused for nothing',
    history: sound({ loser: { reads: [], snapshotVersion: null } }),
  },
  {
    what: 'a transaction that read nothing was too old',
    rule: 'refused for nothing',
    history: sound({ loser: { reads: [], snapshotVersion: null, refusal: 'TRANSACTION_TOO_OLD' } }),
  },
  {
    what: 'a transaction that wrote nothing had a conflict',
    rule: 'refused for nothing',
    history: sound({ loser: { writes: [] } }),
  },
  {
    what: 'a value is not what the commits give',
    rule: 'final state',
    history: sound({}, { 'c/0': '4' }),
  },
  {
    what: 'there is something that nobody wrote',
    rule: 'final state',
    history: sound({}, { 'b/0': 'x' }),
  },
];

describe('is found:', () => {
  test.each(CASES)('$what', ({ rule, history }) => {
    expect(rulesOf(history)).toContain(rule);
  });
});
