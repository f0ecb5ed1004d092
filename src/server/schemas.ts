/** Shapes on the wire, for OpenAPI and for serialising answers. What a query or a batch may hold is checked by the index. */
import { type TSchema, Type } from '@fastify/type-provider-typebox';
import { BATCH_ENTITIES_MAX, TAKE_DEFAULT, TAKE_MAX } from '../limits.ts';
import type { Access } from './authentication.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const count = (description: string) => Type.Integer({ minimum: 0, description });
const json = (description: string) => Type.Unknown({ description });

export const ErrorSchema = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'stable' }),
      message: Type.String(),
      hint: Type.Optional(Type.String()),
      at: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
      details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  },
  { description: 'What went wrong' },
);

const WhereSchema = json('conditions: { field: value } or { field: { operator: value } }, AND, OR, NOT');

export const QuerySchema = Type.Object({
  where: Type.Optional(WhereSchema),
  orderBy: Type.Optional(json("{ field: 'asc' | 'desc' }, one field with sort")),
  take: Type.Optional(Type.Integer({ minimum: 0, maximum: TAKE_MAX, default: TAKE_DEFAULT })),
  cursor: Type.Optional(nullable(Type.String({ description: 'nextCursor of the page before' }))),
});

export const PageSchema = Type.Object({
  ids: Type.Array(Type.Integer(), { description: 'matching slots in order' }),
  total: count('all matches'),
  nextCursor: nullable(Type.String()),
});

export const CountRequestSchema = Type.Object({ where: Type.Optional(WhereSchema) });
export const CountSchema = Type.Object({ count: count('alive slots that match') });

/** A count in a query string, kept as text: converting it would round. */
const countText = (description: string) => Type.String({ pattern: '^[0-9]{1,15}$', description });

/** Query string of reads that may wait for a write. */
export const AfterSchema = Type.Object(
  {
    after: Type.Optional(countText('answer once this position of POST /v1/ops is visible')),
    waitMs: Type.Optional(countText('milliseconds to wait for it at most')),
  },
  { additionalProperties: false },
);

export const NoParametersSchema = Type.Object({}, { additionalProperties: false });

export const BatchSchema = Type.Object({
  ops: Type.Array(
    Type.Object({
      slot: Type.Integer({ minimum: 0, maximum: 0xffffffff }),
      ops: Type.Array(json('set, remove, add, delete or queryOpSet')),
      alive: Type.Optional(Type.Literal(true)),
      source: Type.Optional(Type.String()),
    }),
    { maxItems: BATCH_ENTITIES_MAX },
  ),
  meta: Type.Optional(
    Type.Object({
      source: Type.String(),
      cursor: Type.Optional(count('position in the source up to which the batch is complete')),
      maxId: Type.Optional(count('newest position in the source')),
      lagRows: Type.Optional(count('rows that the source has yet to send')),
    }),
  ),
});

export const StrictSchema = Type.Object(
  {
    strict: Type.Optional(Type.Boolean({ description: 'refuse the whole batch when one entity is refused' })),
  },
  { additionalProperties: false },
);

export const AppliedSchema = Type.Object({
  accepted: count('entities applied'),
  refused: Type.Array(
    Type.Object({
      index: count('position in ops'),
      code: Type.String(),
      message: Type.String(),
      field: Type.Optional(Type.String()),
    }),
  ),
  position: nullable(count('for `after` of a later read; null for an index in memory')),
});

const SOURCE_POSITION = {
  source: Type.String(),
  cursor: nullable(count('position up to which all is applied')),
  maxId: nullable(count('newest position in the source')),
  lagRows: nullable(count('rows yet to come')),
};

export const StatsSchema = Type.Unsafe<unknown>(
  Type.Object(
    {
      version: count('being served'),
      alive: count('slots'),
      position: nullable(
        Type.Object(
          {
            sequence: count('of the last applied batch, as `position` of POST /v1/ops'),
            offset: count('in its segment'),
          },
          { description: 'up to which the op log is applied; null for an index in memory' },
        ),
      ),
      sources: Type.Array(Type.Object(SOURCE_POSITION)),
      checkpoints: count('versions made of ops since the server started'),
    },
    { additionalProperties: true, description: 'and definition, lastLoad, fields, log, memory' },
  ),
);

export const SyncLagSchema = Type.Object({
  sources: Type.Array(
    Type.Object({
      ...SOURCE_POSITION,
      entities: count('accepted since the server started'),
      appliedAt: nullable(Type.String({ description: 'ISO 8601; null: nothing since the server started' })),
    }),
  ),
});

export const DumpRequestSchema = Type.Object(
  {
    files: Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 4096 }), {
      description: 'table → CSV file in a dump directory',
    }),
    mode: Type.Optional(Type.Union([Type.Literal('replace'), Type.Literal('merge')], { default: 'replace' })),
    maxRejects: Type.Optional(nullable(count('rejected rows tolerated; null: any number. Default 0'))),
  },
  { additionalProperties: false },
);

export const DumpSchema = Type.Object({
  name: Type.String(),
  id: Type.String(),
  status: Type.Enum(['registered', 'loading', 'publishing', 'complete', 'failed', 'cancelled']),
  reason: nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  tables: Type.Record(Type.String(), Type.Object({ file: Type.String(), definitionHash: Type.String() })),
  mode: Type.String(),
  maxRejects: nullable(Type.Integer()),
  counts: nullable(
    Type.Object({
      rows: count('loaded'),
      rejectedRows: count('rejected'),
      alive: count('slots alive after it'),
      version: count('that it made'),
    }),
  ),
  registeredAt: Type.String(),
  startedAt: nullable(Type.String()),
  endedAt: nullable(Type.String()),
  progress: nullable(
    Type.Object({
      phase: Type.String(),
      table: nullable(Type.String()),
      bytesDone: count('of the files'),
      bytesTotal: count('of the files'),
      rows: count('so far'),
      rejects: count('so far'),
      elapsedMs: Type.Number(),
      etaMs: nullable(Type.Number()),
    }),
  ),
});

export const DumpListSchema = Type.Object({ dumps: Type.Array(DumpSchema) });
export const DumpNameSchema = Type.Object({ name: Type.String() });

export const LiveSchema = Type.Object({ live: Type.Boolean() });
export const ReadySchema = Type.Object({
  ready: Type.Boolean(),
  checks: Type.Object({ index: Type.String(), engine: Type.String(), log: Type.String() }),
});

/** What every route tells OpenAPI beside its own shapes. */
export function documented(
  access: Access,
  summary: string,
): { summary: string; security?: { [name: string]: string[] }[] } {
  return access === 'open' ? { summary } : { summary, security: [{ [`${access}Token`]: [] }] };
}
