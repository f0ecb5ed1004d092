/**
 * kill -9 of the server at random moments under load: after a restart every acknowledged batch is there in full, and of
 * the others none is half there. BITLOOM_SERVER_KILLS sets the number of kills for a longer run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { BitloomClient, ClientError, type Entity } from '../../src/client/client.ts';
import { temporaryDirectory } from '../temporary.ts';
import { eventually } from './harness.ts';

const KILLS = Number(process.env.BITLOOM_SERVER_KILLS ?? 15);
const CHILD = fileURLToPath(new URL('fixtures/serve-until-killed.ts', import.meta.url));
const SENDERS = 6;
/** Slots that a batch creates, and slots that all batches write to: 0 up to this number. */
const SLOTS = 20;
const DELAY_MS_MAX = 300;

const DEFINITION = `
name: killed
fields:
  batch: { type: uint32, index: [filter, sort] }
  owner: { type: uint32, index: filter }
  text: { type: string, index: filter }
  tags: { type: uint32, index: filter, many: true }
  marked: { type: boolean, index: filter }
tables:
  rows:
    csv: { columns: [id, value, text] }
    slot: id
    alive: true
    fields: { batch: value, owner: value, text: text, tags: value, marked: value > 0 }
`;

const folder = temporaryDirectory();

let running: ChildProcess | null = null;

// Of a test that failed.
afterEach(() => running?.kill('SIGKILL'));

interface Child {
  readonly process: ChildProcess;
  readonly client: BitloomClient;
  /** Resolves when the index is open. */
  readonly opened: Promise<void>;
}

async function startChild(definition: string): Promise<Child> {
  const args = ['--import', 'tsx', CHILD, definition, join(folder.path, 'data')];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  running = child;
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'close').then(([code, signal]) => {
    throw new Error(`the server ended with code ${code}, signal ${signal}`);
  });
  const line = (start: string) =>
    new Promise<string>((resolve) => {
      lines.on('line', (text) => text.startsWith(start) && resolve(text.slice(start.length)));
    });
  const opened = Promise.race([line('open'), ended]).then(() => {});
  // Some are killed while they open.
  opened.catch(() => {});
  const url = await Promise.race([line('listening '), ended]);
  return { process: child, client: new BitloomClient({ url, timeoutMs: 20_000 }), opened };
}

async function kill({ process: child }: Child): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  expect(child.signalCode).toBe('SIGKILL');
}

/** Creates slots of its own, takes the shared ones over, and marks what it created in a queryOpSet. */
function entitiesOf(batch: number): Entity[] {
  const entities: Entity[] = [];
  for (let at = 0; at < SLOTS; at++) {
    entities.push({ slot: at, alive: true, ops: [{ op: 'set', field: 'owner', value: batch }] });
    entities.push({
      slot: batch * SLOTS + at,
      alive: true,
      ops: [
        { op: 'set', field: 'batch', value: batch },
        { op: 'set', field: 'text', value: `text ${batch}` },
        { op: 'add', field: 'tags', value: batch % 7 },
      ],
    });
  }
  entities.push({
    slot: batch,
    ops: [{ op: 'queryOpSet', where: { batch }, ops: [{ op: 'set', field: 'marked', value: true }] }],
  });
  return entities;
}

/** What was sent, and what became of it. */
class Ledger {
  readonly acknowledged = new Set<number>();
  /** Sent without an answer, and not looked for since. */
  readonly uncertain = new Set<number>();
  readonly present = new Set<number>();
  #next = 1;

  /** Sends one batch after another until the server is gone. */
  async send(client: BitloomClient, onAcknowledged: () => void): Promise<void> {
    for (;;) {
      const batch = this.#next++;
      this.uncertain.add(batch);
      try {
        await client.apply({ ops: entitiesOf(batch) }, { strict: true });
      } catch (error) {
        if (error instanceof ClientError && error.status === null) return;
        throw error;
      }
      this.acknowledged.add(batch);
      onAcknowledged();
    }
  }

  /** Looks for everything sent since the last time. */
  async verify(client: BitloomClient): Promise<void> {
    const owners: number[] = [];
    for (const batch of this.uncertain) {
      const created = await client.count({ batch });
      const full = { batch, text: `text ${batch}`, tags: batch % 7, marked: true };
      if (this.acknowledged.has(batch)) expect(created, `acknowledged batch ${batch}`).toBe(SLOTS);
      expect([0, SLOTS], `batch ${batch}`).toContain(created);
      expect(await client.count(full), `all of batch ${batch}`).toBe(created);
      const owned = await client.count({ owner: batch });
      expect([0, SLOTS], `shared slots of batch ${batch}`).toContain(owned);
      if (owned > 0) owners.push(batch);
      if (created > 0) this.present.add(batch);
    }
    const written = [...this.uncertain].some((batch) => this.present.has(batch));
    expect(owners.length, 'the last batch owns the shared slots').toBe(written ? 1 : 0);
    this.uncertain.clear();
    const alive = this.present.size === 0 ? 0 : (this.present.size + 1) * SLOTS;
    expect(await client.count()).toBe(alive);
    expect(await client.count({ marked: true })).toBe(this.present.size * SLOTS);
  }
}

test(
  `${KILLS} kills of the server lose no acknowledged batch and leave none half there`,
  async () => {
    const definition = folder.write('index.yaml', DEFINITION);
    const ledger = new Ledger();
    for (let killed = 0; killed < KILLS; killed++) {
      const child = await startChild(definition);
      if (killed % 4 === 3) {
        // While it opens: replays, and makes good what the last kill left.
        await Promise.race([child.opened, sleep(Math.random() * 50)]);
        await kill(child);
        continue;
      }
      await child.opened;
      await ledger.verify(child.client);
      const before = ledger.acknowledged.size;
      await new Promise<void>((resolve, reject) => {
        const senders = Array.from({ length: SENDERS }, () => ledger.send(child.client, resolve));
        Promise.all(senders).then(() => resolve(), reject);
      });
      if (killed % 3 === 0) {
        // Where a checkpoint follows the other.
        await eventually(
          () => child.client.stats(),
          (stats) => Number(stats.checkpoints) > 0,
        );
      }
      await sleep(Math.random() * DELAY_MS_MAX);
      await kill(child);
      expect(ledger.acknowledged.size).toBeGreaterThan(before);
    }
    const child = await startChild(definition);
    await child.opened;
    await ledger.verify(child.client);
    await kill(child);
    expect(ledger.present.size).toBeGreaterThanOrEqual(ledger.acknowledged.size);
  },
  KILLS * 20_000,
);
