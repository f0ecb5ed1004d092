/** The public API of the package. */

export type { Reject } from './csv/reject.ts';
export type {
  ApplyOptions,
  ApplyReport,
  BitloomIndex,
  FieldStats,
  IndexStats,
  LastLoad,
  OpenOptions,
} from './engine/index-api.ts';
export { openIndex } from './engine/open-index.ts';
export { BitloomError, type ErrorData, type ErrorPlace, formatError } from './errors.ts';
export type {
  LoadMode,
  LoadOptions,
  LoadPhase,
  LoadProgress,
  LoadReport,
  TableReport,
} from './load/options.ts';
export type { LogPosition } from './log/log-position.ts';
export type { OpLogStats } from './log/op-log.ts';
export type { Batch, BatchMeta, Entity, Op, SlotOp } from './ops/op.ts';
export type { RefusedEntity } from './ops/parse-batch.ts';
export type { Page, Query } from './query/query.ts';
export type { FieldOperators, Scalar, Where } from './query/where.ts';
