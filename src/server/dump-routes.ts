/** The dump registry over HTTP: registering a dump starts it as soon as no other is being loaded. */
import { BitloomError } from '../errors.ts';
import { type DumpEntry, isDumpEnded } from '../load/dump-registry.ts';
import type { HttpServer } from './http-server.ts';
import {
  DumpListSchema,
  DumpNameSchema,
  DumpRequestSchema,
  DumpSchema,
  documented,
  ErrorSchema,
  NoParametersSchema,
} from './schemas.ts';
import type { OpenService, Service } from './service.ts';
import type { DumpState } from './wire.ts';

export function addDumpRoutes(server: HttpServer, service: Service): void {
  server.get(
    '/v1/dumps',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'Every registered dump, in the order of registration'),
        querystring: NoParametersSchema,
        response: { 200: DumpListSchema, default: ErrorSchema },
      },
    },
    async () => {
      const open = service.requireOpen();
      return { dumps: open.registry.list().map((entry) => stateOf(open, entry)) };
    },
  );

  server.get(
    '/v1/dumps/:name',
    {
      config: { access: 'read' },
      schema: {
        ...documented('read', 'One registered dump'),
        params: DumpNameSchema,
        querystring: NoParametersSchema,
        response: { 200: DumpSchema, default: ErrorSchema },
      },
    },
    async ({ params }) => stateOf(service.requireOpen(), service.requireOpen().registry.get(params.name)),
  );

  server.put(
    '/v1/dumps/:name',
    {
      config: { access: 'write' },
      schema: {
        ...documented('write', 'Registers a dump and starts it; the same request again changes nothing'),
        params: DumpNameSchema,
        querystring: NoParametersSchema,
        body: DumpRequestSchema,
        response: { 200: DumpSchema, 202: DumpSchema, default: ErrorSchema },
      },
    },
    async ({ params, body }, reply) => {
      const opened = service.requireOpen();
      const { entry, isNew } = await opened.registry.register({
        name: params.name,
        tables: await tablesOf(opened, body.files),
        mode: body.mode ?? 'replace',
        maxRejects: body.maxRejects === undefined ? 0 : body.maxRejects,
      });
      opened.runner.start();
      return reply.code(isNew ? 202 : 200).send(stateOf(opened, entry));
    },
  );

  server.post(
    '/v1/dumps/:name/cancel',
    {
      config: { access: 'write' },
      schema: {
        ...documented('write', 'Cancels a dump that is not yet published; answers once it has ended'),
        params: DumpNameSchema,
        querystring: NoParametersSchema,
        response: { 200: DumpSchema, default: ErrorSchema },
      },
    },
    async ({ params }) =>
      stateOf(service.requireOpen(), await service.requireOpen().runner.cancel(params.name)),
  );

  server.delete(
    '/v1/dumps/:name',
    {
      config: { access: 'write' },
      schema: {
        ...documented('write', 'Forgets a dump that has ended; what it published stays'),
        params: DumpNameSchema,
        querystring: NoParametersSchema,
        response: { 200: DumpSchema, default: ErrorSchema },
      },
    },
    async ({ params }) =>
      stateOf(service.requireOpen(), await service.requireOpen().registry.remove(params.name)),
  );
}

function stateOf({ runner }: OpenService, entry: DumpEntry): DumpState {
  // The entry may say that it has ended a moment before its runner has let it go.
  return { ...entry, progress: isDumpEnded(entry.status) ? null : runner.progressOf(entry.name) };
}

/** The files as they may be read, with what their tables mean now. Errors: DUMP_EMPTY, TABLE_UNKNOWN, those of `DumpFiles`. */
async function tablesOf(
  { index, files }: OpenService,
  given: Readonly<Record<string, string>>,
): Promise<DumpEntry['tables']> {
  const { definition } = await index.stats();
  const names = Object.keys(given);
  if (names.length === 0) {
    throw new BitloomError('DUMP_EMPTY', 'the dump names no file', {
      hint: `give a file for at least one of: ${Object.keys(definition.tables).join(', ')}`,
    });
  }
  const tables: Record<string, { file: string; definitionHash: string }> = {};
  for (const name of names) {
    if (!Object.hasOwn(definition.tables, name)) {
      throw new BitloomError(
        'TABLE_UNKNOWN',
        `the definition has no table ${JSON.stringify(name).slice(0, 200)}`,
        {
          hint: `the tables are ${Object.keys(definition.tables).join(', ')}`,
        },
      );
    }
    tables[name] = { file: await files.resolve(given[name]), definitionHash: definition.tables[name] };
  }
  return tables;
}
