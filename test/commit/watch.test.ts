/** What a watch tells: every commit of its range after its position, in order, once. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COMMIT_TIMINGS } from '../../src/commit/commit-timings.ts';
import { bytes, Stage, type StageNode } from './simulation/stage.ts';

const { versionPollMs } = COMMIT_TIMINGS;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

function write({ store }: StageNode, ...keys: string[]): Promise<unknown> {
  return stage.until(
    store.transact((transaction) => {
      for (const key of keys) transaction.set(bytes(key), bytes('1'));
    }),
  );
}

/** Collects what a watch tells until it ends. */
function collect(versions: AsyncIterable<number>): { told: number[]; ended: Promise<void> } {
  const told: number[] = [];
  const read = async () => {
    for await (const version of versions) told.push(version);
  };
  const ended = read();
  ended.catch(() => {});
  return { told, ended };
}

test('only commits that touch the range are told, from the moment of the call on', async () => {
  const leader = await stage.addNode();
  const node = await stage.addNode();
  await write(leader, 'b');
  await stage.pass(10);
  const { told, ended } = collect(node.store.watch(bytes('b'), bytes('d')));
  await write(leader, 'a', 'c');
  await write(leader, 'd');
  await write(leader, 'b', 'c');
  await write(leader, 'a');
  const clearing = leader.store.transact((transaction) => transaction.clearRange(bytes('a'), bytes('b\0')));
  await stage.until(clearing);
  await stage.pass(20);
  expect(told).toEqual([2, 4, 6]);
  await stage.until(node.store.close());
  await stage.until(ended);
});

test('a watch keeps its range when the caller uses its buffers again', async () => {
  const leader = await stage.addNode();
  const [begin, end] = [Buffer.from('b'), Buffer.from('c')];
  const { told, ended } = collect(leader.store.watch(begin, end));
  begin.fill('q');
  end.fill('r');
  await write(leader, 'q');
  await write(leader, 'b');
  await stage.pass(20);
  expect(told).toEqual([2]);
  await stage.until(leader.store.close());
  await stage.until(ended);
});

test('a versionstamped key is told as the key that it became', async () => {
  const node = await stage.addNode();
  const { told } = collect(node.store.watch(bytes('s'), bytes('t')));
  const { told: others } = collect(node.store.watch(bytes('s\x01'), bytes('t')));
  const template = bytes(`s${' '.repeat(10)}\x01\0\0\0`);
  await stage.until(
    node.store.transact((transaction) => transaction.atomic('SET_VERSIONSTAMPED_KEY', template, bytes('v'))),
  );
  await stage.pass(20);
  expect([told, others]).toEqual([[1], []]);
});

test('with a position it tells what came after, and any number of watches share a tail', async () => {
  const node = await stage.addNode();
  for (let i = 0; i < 5; i++) await write(node, 'k');
  node.statements.length = 0;
  const watches = [0, 2, 5, 3].map((after) => collect(node.store.watch(bytes('k'), bytes('l'), { after })));
  await stage.pass(20);
  expect(watches.map(({ told }) => told)).toEqual([[1, 2, 3, 4, 5], [3, 4, 5], [], [4, 5]]);
  await write(node, 'k');
  await stage.pass(20);
  expect(watches.map(({ told }) => told.at(-1))).toEqual([6, 6, 6, 6]);
  expect(node.statements.filter((name) => name === 'tail').length).toBeLessThan(5);
});

test('lost announcements delay it by a poll, and nothing is lost', async () => {
  const leader = await stage.addNode();
  const node = await stage.addNode();
  const { told } = collect(node.store.watch(bytes(''), bytes('z')));
  await stage.pass(10);
  stage.faults = { loseNotification: 1 };
  await write(leader, 'a');
  await write(leader, 'b');
  await stage.pass(versionPollMs + 50);
  expect(told).toEqual([1, 2]);
});

test('what was announced while the listener was away is asked for when it is back', async () => {
  const leader = await stage.addNode();
  const node = await stage.addNode();
  const { told } = collect(node.store.watch(bytes(''), bytes('z')));
  await stage.pass(versionPollMs / 4);
  stage.network.cutListeners(node.process, 20);
  await write(leader, 'a');
  await stage.pass(30);
  expect(told).toEqual([1]);
});

test('it goes on over a failover and a database that was away', async () => {
  const leader = await stage.addNode();
  const node = await stage.addNode();
  const { told } = collect(node.store.watch(bytes(''), bytes('z')));
  await write(leader, 'a');
  leader.process.isCrashed = true;
  stage.network.stopDatabase(3000, true, [node.process]);
  await stage.pass(3500);
  await write(node, 'b');
  await stage.pass(20);
  expect(told).toEqual([1, 2]);
});

test('a position whose records are gone is too old, after what is known has been told', async () => {
  const node = await stage.addNode();
  for (let i = 0; i < 3; i++) await write(node, 'k');
  await stage.pass(COMMIT_TIMINGS.outcomeRetentionMs + 5000);
  await write(node, 'k');
  const { ended } = collect(node.store.watch(bytes(''), bytes('z'), { after: 1 }));
  await expect(stage.until(ended)).rejects.toMatchObject({ code: 'WATCH_TOO_OLD', retryable: false });
  const { told } = collect(node.store.watch(bytes(''), bytes('z'), { after: 3 }));
  await stage.pass(20);
  expect(told).toEqual([4]);
});

test('it ends with its signal, with return and with the store', async () => {
  const node = await stage.addNode();
  const abort = new AbortController();
  const bySignal = collect(node.store.watch(bytes(''), bytes('z'), { signal: abort.signal }));
  const iterator = node.store.watch(bytes(''), bytes('z'));
  const byStore = collect(node.store.watch(bytes(''), bytes('z')));
  await write(node, 'a');
  expect(await stage.until(iterator.next())).toEqual({ done: false, value: 1 });
  await iterator.return?.();
  expect(await stage.until(iterator.next())).toEqual({ done: true, value: undefined });
  abort.abort();
  await stage.until(bySignal.ended);
  await stage.until(node.store.close());
  await stage.until(byStore.ended);
  expect(await stage.until(node.store.watch(bytes(''), bytes('z')).next())).toMatchObject({ done: true });
  expect(() => node.store.watch(bytes('b'), bytes('a'))).toThrow(/comes before/);
});

test('a consumer that does not read holds no more than its buffer, and catches up later', async () => {
  const COMMITS = 12_000;
  const node = await stage.addNode();
  const watch = node.store.watch(bytes(''), bytes('z'), { after: 0 });
  // Commits without the protocol, for their number.
  const { database } = stage;
  const ranges = new Uint8Array([1, 1, 0, 1, 0x7a]); // ['', 'z')
  for (let version = 1; version <= COMMITS; version++) {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, version);
    database.outcomes.set(`${version}`, { id, verdict: 'committed', version, ranges });
  }
  database.durableVersion = COMMITS;
  await stage.pass(3 * versionPollMs);
  const tails = () => node.statements.filter((name) => name === 'tail').length;
  const before = tails();
  await stage.pass(3 * versionPollMs);
  expect(tails()).toBe(before);
  const startedAtMs = stage.world.nowMs;
  for (let version = 1; version <= COMMITS; version++) {
    expect((await stage.until(watch.next())).value).toBe(version);
  }
  expect(stage.world.nowMs - startedAtMs).toBeLessThan(versionPollMs / 2);
});
