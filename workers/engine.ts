/** Thread entry of the engine: owns one index and serves it to the thread that started it. */
import { parentPort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import { nodeEndpoint } from '../src/engine/comlink-endpoint.ts';
import { ThreadHost } from '../src/engine/thread-host.ts';

if (parentPort === null) throw new Error('workers/engine runs in a worker thread; call openIndex');
Comlink.expose(new ThreadHost(), nodeEndpoint(parentPort));
