/**
 * Every limit of the package: its unit, why it has this value, and what happens when it is hit.
 */

/** Slots in one page: the width of a roaring container. Not tunable, the file format rests on it. */
export const PAGE_SLOTS = 65_536;

/** Lines in one chunk at most (`chunkLines`). A worker that reaches it hands the rest of its byte range back. */
export const CHUNK_LINES_DEFAULT = 10_000_000;

/** Bytes a chunk worker reads at a time. Large enough to amortise calls, small enough for the second-level cache. */
export const WINDOW_BYTES = 4 * 1024 * 1024;

/** Bytes of one CSV record at most; a longer one is rejected with RECORD_TOO_LONG. Must be below WINDOW_BYTES. */
export const RECORD_BYTES_MAX = 1024 * 1024;

/** Bytes of raw text kept with a reject; longer text is cut and flagged `rawTruncated`. */
export const REJECT_RAW_BYTES_MAX = 1024;

/** Slots of a filter value up to which it stays in the sorted runs instead of owning a roaring bitmap. */
export const SMALL_VALUE_SLOTS_MAX = 256;

/** Ids in one page of a query; a larger `take` is the error TAKE_TOO_LARGE. */
export const TAKE_MAX = 10_000;

/** Ids in one page of a query when `take` is not given. */
export const TAKE_DEFAULT = 50;

/** Nesting of AND / OR / NOT in a `where`; deeper is the error WHERE_TOO_DEEP. */
export const WHERE_DEPTH_MAX = 32;

/** Clauses in a `where`, list members included; more is the error WHERE_TOO_LARGE. */
export const WHERE_CLAUSES_MAX = 10_000;

/** Nesting of an expression in a definition; deeper is a definition error, so recursion stays bounded. */
export const EXPRESSION_DEPTH_MAX = 64;

/** Versions kept on disk: the current one and the last good one before it. */
export const VERSIONS_KEPT = 2;
