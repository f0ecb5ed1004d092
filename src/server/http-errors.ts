/**
 * Errors as HTTP answers: one table from code to status, one shape of body. What is not in the table is a fault of the
 * server: status 500, and only its log says more.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BitloomError } from '../errors.ts';
import { RETRY_AFTER_SECONDS } from '../limits.ts';
import type { ErrorBody } from './wire.ts';

const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  REQUEST_INVALID: 400,
  QUERY_INVALID: 400,
  QUERY_UNKNOWN_FIELD: 400,
  QUERY_UNKNOWN_OPERATOR: 400,
  QUERY_TYPE: 400,
  QUERY_RANGE_WITHOUT_SORT: 400,
  QUERY_ORDER_WITHOUT_SORT: 400,
  TAKE_INVALID: 400,
  TAKE_TOO_LARGE: 400,
  CURSOR_INVALID: 400,
  CURSOR_MISMATCH: 400,
  WHERE_TOO_DEEP: 400,
  WHERE_TOO_LARGE: 400,
  BATCH_INVALID: 400,
  DUMP_NAME_INVALID: 400,
  DUMP_EMPTY: 400,
  TABLE_UNKNOWN: 400,
  OPTION_INVALID: 400,
  SOURCE_NOT_FOUND: 400,
  TOKEN_REQUIRED: 401,
  TOKEN_FORBIDDEN: 403,
  HOST_FORBIDDEN: 403,
  DUMP_FILE_FORBIDDEN: 403,
  ROUTE_UNKNOWN: 404,
  DUMP_UNKNOWN: 404,
  DUMP_EXISTS: 409,
  DUMP_STATE: 409,
  DUMPS_TOO_MANY: 409,
  READ_ONLY: 409,
  BODY_TOO_LARGE: 413,
  BATCH_TOO_LARGE: 413,
  LOG_RECORD_TOO_LARGE: 413,
  MEDIA_TYPE: 415,
  BATCH_REFUSED: 422,
  SERVER_OVERLOADED: 429,
  LOG_OVERLOADED: 429,
  NOT_READY: 503,
  POSITION_NOT_REACHED: 503,
  LOG_UNWRITABLE: 503,
  LOG_CLOSED: 503,
  LOAD_RUNNING: 503,
  INDEX_BROKEN: 503,
  INDEX_CLOSED: 503,
  ENGINE_CRASHED: 503,
  DUMP_REGISTRY_UNWRITABLE: 503,
  REQUEST_TIMEOUT: 504,
};

/** Fastify's own failures under the codes of this package. */
const CODE_OF_FASTIFY: Readonly<Record<string, { code: string; hint: string }>> = {
  FST_ERR_VALIDATION: { code: 'REQUEST_INVALID', hint: 'see /openapi.json for what the route takes' },
  FST_ERR_BAD_URL: { code: 'REQUEST_INVALID', hint: 'percent-encode the path' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'REQUEST_INVALID', hint: 'shorten the path' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'REQUEST_INVALID',
    hint: 'Content-Length must be the length of the body',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'BODY_TOO_LARGE',
    hint: 'send several smaller requests, or raise --body-limit for batches of ops',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'MEDIA_TYPE',
    hint: 'send JSON as "Content-Type: application/json"',
  },
};

export function statusOfCode(code: string): number {
  return Object.hasOwn(STATUS_OF_CODE, code) ? STATUS_OF_CODE[code] : 500;
}

export function addErrorHandling(server: FastifyInstance, onError: (code: string) => void): void {
  server.setErrorHandler(async (thrown: FastifyError, request, reply) => {
    const error = publicError(thrown);
    onError(error.code);
    const status = statusOfCode(error.code);
    if (status >= 500 && status !== 503) request.log.error({ err: thrown }, 'request failed');
    return answer(reply, status, error);
  });
  server.setNotFoundHandler(async (request: FastifyRequest, reply) => {
    onError('ROUTE_UNKNOWN');
    const error = new BitloomError(
      'ROUTE_UNKNOWN',
      `there is no route ${request.method} ${pathOf(request)}`,
      {
        hint: 'see /openapi.json for the routes',
      },
    );
    return answer(reply, 404, error);
  });
}

export function errorBody(error: BitloomError): ErrorBody {
  const { code, message, hint, at, details } = error;
  return {
    error: {
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ...(at === undefined ? {} : { at }),
      ...(details === undefined ? {} : { details }),
    },
  };
}

function answer(reply: FastifyReply, status: number, error: BitloomError): FastifyReply {
  if (status === 429 || status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  return reply.code(status).send(errorBody(error));
}

/** What the caller may know of it. */
function publicError(thrown: FastifyError): BitloomError {
  if (thrown instanceof BitloomError) {
    return statusOfCode(thrown.code) === 500 ? internal(thrown) : thrown;
  }
  const known = Object.hasOwn(CODE_OF_FASTIFY, thrown.code) ? CODE_OF_FASTIFY[thrown.code] : undefined;
  if (known !== undefined) return new BitloomError(known.code, thrown.message, { hint: known.hint });
  const isCallers =
    typeof thrown.statusCode === 'number' && thrown.statusCode >= 400 && thrown.statusCode < 500;
  if (isCallers) return new BitloomError('REQUEST_INVALID', thrown.message, { cause: thrown });
  return internal(thrown);
}

function internal(cause: Error): BitloomError {
  return new BitloomError('INTERNAL', 'the server failed to answer; its log says more', {
    hint: 'report it with the log of the server if it happens again',
    cause,
  });
}

function pathOf(request: FastifyRequest): string {
  return JSON.stringify(request.url.split('?')[0].slice(0, 200));
}
