/** The HTTP server without its routes: limits, timeouts, parsing, errors, tokens, the description of its interface. */
import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import {
  type TSchema,
  type TypeBoxTypeProvider,
  TypeBoxValidatorCompiler,
} from '@fastify/type-provider-typebox';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifySchemaCompiler,
  LogController,
} from 'fastify';
import { BitloomError } from '../errors.ts';
import { CONNECTIONS_CHECK_INTERVAL_MS, CONNECTIONS_MAX, REQUEST_BODY_BYTES_MAX } from '../limits.ts';
import { addAuthentication } from './authentication.ts';
import { addErrorHandling, errorBody } from './http-errors.ts';
import { parseJsonBody } from './json-body.ts';
import type { Service } from './service.ts';

export type HttpServer = ReturnType<typeof createFastify>;

export async function createHttpServer(service: Service, version: string): Promise<HttpServer> {
  const { settings, metrics } = service;
  const server = createFastify(service);
  server.server.maxConnections = CONNECTIONS_MAX;
  server.setValidatorCompiler(TypeBoxValidatorCompiler);
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => parseJsonBody(body),
  );
  addErrorHandling(server, (code) => metrics.errors.inc({ code }));
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Bitloom', version },
      components: {
        securitySchemes: {
          readToken: { type: 'http', scheme: 'bearer', description: 'the read or the write token' },
          writeToken: { type: 'http', scheme: 'bearer', description: 'the write token' },
        },
      },
    },
  });
  addTimeout(server, settings.requestTimeoutMs);
  addAuthentication(server, settings.tokens);
  // A connection whose last answer this is would otherwise stay open, idle, and closing would wait for it.
  server.addHook('onSend', async (_request, reply) => {
    if (service.isClosing) reply.header('connection', 'close');
  });
  server.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.requests.inc({ method: request.method, route, status: reply.statusCode });
    request.log.debug(
      { method: request.method, route, status: reply.statusCode, durationMs: reply.elapsedTime },
      'request answered',
    );
  });
  return server;
}

/** For routes whose body the index checks; everything else is held to its schema. */
export const checkedByIndex: FastifySchemaCompiler<TSchema> = (route) =>
  route.httpPart === 'body' ? (value: unknown) => ({ value }) : TypeBoxValidatorCompiler(route);

function createFastify({ settings }: Service) {
  const logger: FastifyBaseLogger = settings.logger;
  return Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: REQUEST_BODY_BYTES_MAX,
    // In this time a request must have arrived.
    requestTimeout: settings.requestTimeoutMs,
    http: { connectionsCheckingInterval: CONNECTIONS_CHECK_INTERVAL_MS },
    forceCloseConnections: 'idle',
    clientErrorHandler: answerMalformed,
    frameworkErrors: (error, _request, reply) => {
      void (reply as FastifyReply).code(400).send(errorBody(malformed(error.message)));
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
}

/**
 * Answers a request that takes too long. What it asked for goes on: an engine cannot be interrupted. (The framework's own
 * timeout ends with the body of the request.)
 */
function addTimeout(server: FastifyInstance, requestTimeoutMs: number): void {
  server.addHook('onRequest', async (_request, reply) => {
    const timer = setTimeout(() => {
      if (reply.sent) return;
      void reply.send(
        new BitloomError('REQUEST_TIMEOUT', `the request was not answered within ${requestTimeoutMs} ms`, {
          hint: 'what was sent may still be applied; ask later, or raise --request-timeout',
        }),
      );
    }, requestTimeoutMs);
    reply.raw.once('close', () => clearTimeout(timer));
  });
}

/** What is not HTTP never reaches a route. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const body = JSON.stringify(
    errorBody(malformed(isLate ? 'the request did not arrive in time' : 'this is not HTTP/1.1')),
  );
  const status = isLate ? '408 Request Timeout' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function malformed(message: string): BitloomError {
  return new BitloomError('REQUEST_INVALID', message);
}
