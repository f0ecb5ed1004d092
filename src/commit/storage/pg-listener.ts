/**
 * One connection that listens. When it is lost it is replaced at once and then, with growing pauses, until it is back;
 * every channel is listened to again before anybody is told of the gap, so that whoever looks at the database then misses
 * nothing afterwards. A heartbeat sends a notification through the connection to itself: a half-open connection, or a
 * pooler that swallows notifications, is found out by its absence.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { CommitError } from '../commit-error.ts';
import { storeClosed } from './database.ts';

interface Subscription {
  readonly onPayload: (payload: string) => void;
  readonly onGap: () => void;
}

/** Pause before the second attempt to replace a connection; doubles up to the maximum. */
const RECONNECT_DELAY_MS = 50;
const RECONNECT_DELAY_MS_MAX = 1_000;

export class PgListener {
  readonly #connect: () => Promise<pg.Client>;
  readonly #heartbeatMs: number;
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  readonly #closing = new AbortController();
  /** The latest attempt to have a connection; undefined before the first and after one that nobody needed any more. */
  #attempt: Promise<ListeningConnection> | undefined;

  /** @param connect makes a connected client of which nobody else knows. */
  constructor(connect: () => Promise<pg.Client>, heartbeatMs: number) {
    this.#connect = connect;
    this.#heartbeatMs = heartbeatMs;
  }

  /**
   * Resolves once the server delivers.
   * @throws CommitError DATABASE_UNREACHABLE when there is no connection at the moment and none could be made.
   */
  async listen(
    name: string,
    onPayload: (payload: string) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    this.#assertOpen();
    const subscription = { onPayload, onGap };
    this.#add(name, subscription);
    try {
      const connection = await (this.#attempt ??= this.#open());
      await connection.listen(name);
    } catch (error) {
      this.#remove(name, subscription);
      throw error;
    }
    return async () => {
      if (!this.#remove(name, subscription) || this.#subscriptions.has(name)) return;
      const connection = await this.#attempt?.catch(() => undefined);
      await connection?.unlisten(name, () => !this.#subscriptions.has(name)).catch(() => {});
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#subscriptions.clear();
    const connection = await this.#attempt?.catch(() => undefined);
    connection?.close();
  }

  #add(name: string, subscription: Subscription): void {
    const subscriptions = this.#subscriptions.get(name);
    if (subscriptions === undefined) this.#subscriptions.set(name, new Set([subscription]));
    else subscriptions.add(subscription);
  }

  /** @returns whether it was there. */
  #remove(name: string, subscription: Subscription): boolean {
    const subscriptions = this.#subscriptions.get(name);
    const wasThere = subscriptions?.delete(subscription) ?? false;
    if (subscriptions?.size === 0) this.#subscriptions.delete(name);
    return wasThere;
  }

  /** A connection that listens to everything that is subscribed to now. */
  async #open(): Promise<ListeningConnection> {
    try {
      this.#assertOpen();
      const client = await this.#connect();
      const connection = new ListeningConnection(client, {
        onNotification: (name, payload) => this.#deliver(name, payload),
        onLost: () => void this.#replace(),
      });
      try {
        // Subscriptions made meanwhile wait for this connection and listen by themselves.
        for (const name of this.#subscriptions.keys()) await connection.listen(name);
        await connection.start(this.#heartbeatMs);
        this.#assertOpen();
      } catch (error) {
        connection.destroy();
        throw error;
      }
      return connection;
    } catch (error) {
      this.#attempt = undefined;
      throw error;
    }
  }

  async #replace(): Promise<void> {
    this.#attempt = undefined;
    for (let delayMs = 0; this.#subscriptions.size > 0; delayMs = nextDelay(delayMs)) {
      try {
        await sleep(delayMs, undefined, { signal: this.#closing.signal });
        await (this.#attempt ??= this.#open());
        break;
      } catch {
        if (this.#closing.signal.aborted) return;
      }
    }
    for (const subscriptions of this.#subscriptions.values()) {
      for (const { onGap } of subscriptions) onGap();
    }
  }

  #deliver(name: string, payload: string): void {
    for (const { onPayload } of this.#subscriptions.get(name) ?? []) onPayload(payload);
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw storeClosed();
  }
}

function nextDelay(delayMs: number): number {
  return Math.min(Math.max(delayMs * 2, RECONNECT_DELAY_MS), RECONNECT_DELAY_MS_MAX);
}

/** One client while it lives. Its statements go one after the other. */
class ListeningConnection {
  readonly #client: pg.Client;
  readonly #onLost: () => void;
  readonly #heartbeatChannel = `bitloom_${randomUUID().replaceAll('-', '')}`;
  readonly #listened = new Set<string>();
  #tail: Promise<unknown> = Promise.resolve();
  #heartbeat: NodeJS.Timeout | undefined;
  #isHeartbeatMissing = false;
  /** `onLost` is called for a connection that was started, once. */
  #state: 'starting' | 'live' | 'ended' = 'starting';

  constructor(
    client: pg.Client,
    handlers: {
      readonly onNotification: (name: string, payload: string) => void;
      readonly onLost: () => void;
    },
  ) {
    this.#client = client;
    this.#onLost = handlers.onLost;
    client.on('notification', ({ channel, payload }) => {
      if (channel === this.#heartbeatChannel) this.#isHeartbeatMissing = false;
      else handlers.onNotification(channel, payload ?? '');
    });
    client.on('error', () => this.destroy());
    client.on('end', () => this.destroy());
  }

  async listen(name: string): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#listened.has(name)) return;
      await this.#client.query(`LISTEN "${name}"`);
      this.#listened.add(name);
    });
  }

  /** @param isUnused asked when it comes to it: somebody may have subscribed anew. */
  async unlisten(name: string, isUnused: () => boolean): Promise<void> {
    await this.#inTurn(async () => {
      if (!isUnused() || !this.#listened.delete(name)) return;
      await this.#client.query(`UNLISTEN "${name}"`);
    });
  }

  async start(heartbeatMs: number): Promise<void> {
    await this.listen(this.#heartbeatChannel);
    if (this.#state !== 'starting') throw lostError();
    this.#state = 'live';
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs);
  }

  /** Without waiting for the server, which takes the end of the stream as the end of the session. */
  destroy(): void {
    if (this.#state === 'ended') return;
    const wasLive = this.#state === 'live';
    this.close();
    if (wasLive) this.#onLost();
  }

  /** As destroy(), but nothing is lost. */
  close(): void {
    this.#state = 'ended';
    clearInterval(this.#heartbeat);
    // A polite end would wait for the other side of a half-open connection for minutes.
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }

  #beat(): void {
    if (this.#isHeartbeatMissing) {
      this.destroy();
      return;
    }
    this.#isHeartbeatMissing = true;
    const notify = () => this.#client.query('SELECT pg_notify($1, $2)', [this.#heartbeatChannel, '']);
    this.#inTurn(notify).catch(() => this.destroy());
  }

  async #inTurn<T>(statement: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => {
      if (this.#state === 'ended') throw lostError();
      return statement();
    });
    this.#tail = turn.catch(() => {});
    return await turn;
  }
}

function lostError(): CommitError {
  return new CommitError('DATABASE_UNREACHABLE', 'the listening connection was lost', {
    hint: 'it is being replaced; listen again',
  });
}
