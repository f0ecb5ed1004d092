/**
 * Batches of ops. The answer comes once they are durable and visible; before that the sender keeps them. A batch counts
 * against the bounds of the server from before its body is read until it is applied, also when the sender hangs up.
 */
import type { Batch } from '../ops/op.ts';
import { checkedByIndex, type HttpServer } from './http-server.ts';
import { AppliedSchema, BatchSchema, documented, ErrorSchema, StrictSchema } from './schemas.ts';
import type { Service } from './service.ts';
import type { AppliedBatch } from './wire.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Returns the permit of a batch. */
    releaseBatch: (() => void) | null;
  }
}

export function addOpsRoutes(server: HttpServer, service: Service): void {
  const { bodyBytesMax } = service.settings;
  server.decorateRequest('releaseBatch', null);
  server.post(
    '/v1/ops',
    {
      config: { access: 'write' },
      bodyLimit: bodyBytesMax,
      schema: {
        ...documented('write', 'Applies a batch of ops; answers once it is durable and visible'),
        querystring: StrictSchema,
        body: BatchSchema,
        response: { 200: AppliedSchema, default: ErrorSchema },
      },
      validatorCompiler: checkedByIndex,
      onRequest: async (request, reply) => {
        service.requireOpen();
        const length = Number(request.headers['content-length'] ?? bodyBytesMax);
        const release = service.batches.take(Math.min(length, bodyBytesMax));
        request.releaseBatch = release;
        reply.raw.once('close', () => {
          // A body that never came whole; otherwise the handler has taken the permit over.
          if (request.releaseBatch !== null) release();
        });
      },
    },
    (request) => {
      const release = request.releaseBatch ?? (() => {});
      request.releaseBatch = null;
      return applyBatch(service, request.body as Batch, request.query.strict ?? false).finally(release);
    },
  );
}

/** The batch is whatever was sent: the index checks it. */
async function applyBatch(service: Service, batch: Batch, strict: boolean): Promise<AppliedBatch> {
  const { metrics } = service;
  const finish = metrics.applySeconds.startTimer();
  const { position, refused } = await service.requireOpen().index.apply(batch, { strict });
  finish();
  // It was accepted, so it has the shape of a batch.
  const { ops, meta = null } = batch;
  const accepted = ops.length - refused.length;
  metrics.batchEntities.observe(ops.length);
  metrics.refusedEntities.inc(refused.length);
  metrics.ops.inc({ source: service.sources.applied(meta, accepted) }, accepted);
  if (position !== null) service.positions.reached(position.sequence);
  return { accepted, refused: [...refused], position: position?.sequence ?? null };
}
