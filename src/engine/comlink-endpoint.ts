/**
 * Comlink speaks to endpoints shaped like browser event targets; Node.js ports and workers are event emitters. This
 * adapter is the typed version of the one Comlink ships for Node.js, whose types do not resolve under NodeNext.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import type * as Comlink from 'comlink';

type Listener = (event: { data: unknown }) => void;

export function nodeEndpoint(port: MessagePort | Worker): Comlink.Endpoint {
  const forwarders = new Map<unknown, (data: unknown) => void>();
  const endpoint = {
    postMessage: (message: unknown, transfer?: readonly never[]) => port.postMessage(message, transfer),
    addEventListener: (_type: string, listener: unknown) => {
      const forward = (data: unknown): void => deliver(listener, data);
      forwarders.set(listener, forward);
      port.on('message', forward);
    },
    removeEventListener: (_type: string, listener: unknown) => {
      const forward = forwarders.get(listener);
      if (forward === undefined) return;
      forwarders.delete(listener);
      port.off('message', forward);
    },
  };
  return endpoint as unknown as Comlink.Endpoint;
}

function deliver(listener: unknown, data: unknown): void {
  if (typeof listener === 'function') (listener as Listener)({ data });
  else (listener as { handleEvent: Listener }).handleEvent({ data });
}
