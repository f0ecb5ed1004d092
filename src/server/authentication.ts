/**
 * Who may call a route. Every route says so itself (`config.access`); one that does not cannot be registered. Tokens are
 * compared by their SHA-256 in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BitloomError } from '../errors.ts';
import { isLoopbackAuthority } from './loopback.ts';
import type { ServerSettings } from './options.ts';

/** `open` needs no token, `read` either of them, `write` the write token. */
export type Access = 'open' | 'read' | 'write';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

export function addAuthentication(server: FastifyInstance, tokens: ServerSettings['tokens']): void {
  const digests = tokens && { read: digestOf(tokens.read), write: digestOf(tokens.write) };
  server.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined)
      throw new Error(`route ${String(method)} ${url} does not say who may call it`);
  });
  server.addHook('onRequest', async (request, reply) => {
    const access = request.routeOptions.config.access;
    // Without a route there is nothing to protect: the answer is ROUTE_UNKNOWN.
    if (access === undefined || access === 'open') return;
    if (digests === null) {
      assertLoopback(request);
      return;
    }
    const token = bearerToken(request.headers.authorization);
    const given = token === null ? null : digestOf(token);
    const isWriter = given !== null && timingSafeEqual(given, digests.write);
    const isReader = given !== null && timingSafeEqual(given, digests.read);
    if (isWriter || (isReader && access === 'read')) return;
    if (isReader) {
      throw new BitloomError('TOKEN_FORBIDDEN', 'the read token does not allow this', {
        hint: 'send the write token',
      });
    }
    reply.header('www-authenticate', 'Bearer');
    throw new BitloomError(
      'TOKEN_REQUIRED',
      token === null ? 'the request has no bearer token' : 'the token is not one of this server',
      { hint: 'send the header "Authorization: Bearer <token>"' },
    );
  });
}

function assertLoopback(request: FastifyRequest): void {
  if (isLoopbackAuthority(request.headers.host)) return;
  throw new BitloomError('HOST_FORBIDDEN', 'a server without tokens answers only to loopback names', {
    hint: 'address it as localhost or 127.0.0.1, or start it with tokens',
  });
}

function bearerToken(header: string | undefined): string | null {
  return /^bearer +([\x21-\x7e]+) *$/i.exec(header ?? '')?.[1] ?? null;
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
