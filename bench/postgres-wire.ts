/**
 * A proxy in front of Postgres that counts what clients send: statements, and round trips, which a client ends by asking
 * for an answer. Counts go by the application name of the session. Only for counting; it costs time.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface WireCount {
  statements: number;
  roundTrips: number;
}

/** Types of frontend messages, https://www.postgresql.org/docs/current/protocol-message-formats.html */
const QUERY = 'Q'.charCodeAt(0);
const EXECUTE = 'E'.charCodeAt(0);
const SYNC = 'S'.charCodeAt(0);

const PROTOCOL_3 = 3 << 16;
/** The length of a message counts itself, not its type. */
const LENGTH_BYTES = 4;

export class WireCounter {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #counts: Map<string, WireCount>;

  private constructor(url: string, server: Server, sockets: Set<Socket>, counts: Map<string, WireCount>) {
    this.url = url;
    this.#server = server;
    this.#sockets = sockets;
    this.#counts = counts;
  }

  static async open(postgresUrl: string): Promise<WireCounter> {
    const target = new URL(postgresUrl);
    const sockets = new Set<Socket>();
    const counts = new Map<string, WireCount>();
    const server = createServer((client) => {
      const upstream = connect(Number(target.port || 5432), target.hostname);
      const reader = new FrontendReader(counts);
      client.on('data', (bytes) => reader.read(bytes));
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ]) {
        sockets.add(from);
        from.setNoDelay(true);
        from.on('error', () => to.destroy());
        from.on('close', () => sockets.delete(from));
        from.pipe(to);
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxied = new URL(postgresUrl);
    proxied.hostname = '127.0.0.1';
    proxied.port = String((server.address() as { port: number }).port);
    return new WireCounter(proxied.href, server, sockets, counts);
  }

  /** What each application has sent so far. */
  counts(): Map<string, WireCount> {
    return new Map([...this.#counts].map(([name, count]) => [name, { ...count }]));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

/** Takes the stream of one client apart. */
class FrontendReader {
  readonly #counts: Map<string, WireCount>;
  #rest: Buffer = Buffer.alloc(0);
  #count: WireCount | null = null;

  constructor(counts: Map<string, WireCount>) {
    this.#counts = counts;
  }

  read(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const typeBytes = this.#count === null ? 0 : 1;
      if (this.#rest.length < typeBytes + LENGTH_BYTES) return;
      const end = typeBytes + this.#rest.readInt32BE(typeBytes);
      if (this.#rest.length < end) return;
      if (this.#count === null) this.#startUp(this.#rest.subarray(LENGTH_BYTES, end));
      else this.#note(this.#rest[0], this.#count);
      this.#rest = this.#rest.subarray(end);
    }
  }

  /** The first message has no type. Anything but the start of a session, such as a request for TLS, is followed by another. */
  #startUp(body: Buffer): void {
    if (body.readInt32BE(0) !== PROTOCOL_3) return;
    const words = body.subarray(LENGTH_BYTES).toString('latin1').split('\0');
    const name = words[words.indexOf('application_name') + 1] ?? '';
    this.#count = this.#counts.get(name) ?? { statements: 0, roundTrips: 0 };
    this.#counts.set(name, this.#count);
  }

  #note(type: number, count: WireCount): void {
    if (type === QUERY || type === EXECUTE) count.statements++;
    if (type === QUERY || type === SYNC) count.roundTrips++;
  }
}
