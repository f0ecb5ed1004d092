/** Which names and addresses mean this machine and no other. */
import { isIP } from 'node:net';

/** Of an address to bind to. */
export function isLoopbackHost(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1';
}

/**
 * Of a `Host` header, with or without a port. A server without tokens answers to these alone: a page in a browser can
 * make a name of its own resolve to the loopback address, but not change the name that the browser then sends.
 */
export function isLoopbackAuthority(authority: string | undefined): boolean {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(authority ?? '');
  return match !== null && isLoopbackHost(match[1] ?? match[2] ?? '');
}
