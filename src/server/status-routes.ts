/** Probes, metrics and the description of the interface. None of them asks the engine: they answer while it is busy. */
import { Type } from '@fastify/type-provider-typebox';
import type { HttpServer } from './http-server.ts';
import { documented, ErrorSchema, LiveSchema, ReadySchema } from './schemas.ts';
import type { Service } from './service.ts';

export function addStatusRoutes(server: HttpServer, service: Service): void {
  server.get(
    '/livez',
    {
      config: { access: 'open' },
      schema: {
        ...documented('open', '503 when only a new process can help'),
        response: { 200: LiveSchema, 503: LiveSchema, default: ErrorSchema },
      },
    },
    async (_request, reply) => {
      const live = service.isLive();
      return reply.code(live ? 200 : 503).send({ live });
    },
  );

  server.get(
    '/readyz',
    {
      config: { access: 'open' },
      schema: {
        ...documented('open', '200 when the server can read and write'),
        response: { 200: ReadySchema, 503: ReadySchema, default: ErrorSchema },
      },
    },
    async (_request, reply) => {
      const readiness = service.readiness();
      return reply.code(readiness.ready ? 200 : 503).send(readiness);
    },
  );

  server.get(
    '/metrics',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'Metrics for Prometheus'),
        response: {
          200: {
            description: 'The text format of Prometheus',
            content: { 'text/plain': { schema: Type.String() } },
          },
          default: ErrorSchema,
        },
      },
    },
    async (_request, reply) => reply.type(service.metrics.contentType).send(await service.scrape()),
  );

  server.get(
    '/openapi.json',
    {
      config: { access: 'open' },
      schema: {
        ...documented('open', 'This description'),
        response: { 200: Type.Unsafe<unknown>(Type.Any()) },
      },
    },
    async () => server.swagger(),
  );
}
