/** The limits of the commit layer, apart from its intervals (commit-timings.ts): unit, reason, and what happens beyond. */

/**
 * Bytes of a key; more is KEY_TOO_LARGE. An entry of a Postgres b-tree holds 2,704 bytes, so that an incompressible key of
 * 2,696 bytes cannot be stored. Ends of ranges may have one byte more, so that a range can end right after any key.
 */
export const KEY_BYTES_MAX = 2_600;
export const RANGE_BOUND_BYTES_MAX = KEY_BYTES_MAX + 1;

/** Bytes of a value or operand; more is VALUE_TOO_LARGE. APPEND_IF_FITS leaves a value alone that would become larger. */
export const VALUE_BYTES_MAX = 100_000;

/** Bytes of keys, values, operands and conflict ranges of a transaction; more is TRANSACTION_TOO_LARGE. */
export const TRANSACTION_BYTES_MAX = 10_000_000;

/**
 * Bytes of an encoded request; more is TRANSACTION_TOO_LARGE. Lengths and tags come on top of TRANSACTION_BYTES_MAX, so
 * a transaction of very many tiny operations can reach this first.
 */
export const REQUEST_BYTES_MAX = 2 * TRANSACTION_BYTES_MAX;

/** Requests of a leader's batch; the rest waits for the next one. */
export const CLAIM_COUNT_MAX = 512;

/** Bytes of requests of a leader's batch; a larger request goes alone. Bounds the memory and the time of a batch. */
export const CLAIM_BYTES_MAX = 8 * 1024 * 1024;

/** Commits that wait on a node; more is THROTTLED, so that a database that stalls cannot fill the memory. */
export const WAITING_COUNT_MAX = 16_384;
/** Bytes of these; holds a few of the largest. */
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Boundaries of the conflict history, some hundred megabytes with long keys; beyond, the oldest versions are pruned, and
 * transactions that read before them get TRANSACTION_TOO_OLD.
 */
export const HISTORY_BOUNDARIES_MAX = 1_000_000;

/** Bytes of a page of a range read: what a loop over a range holds at a time, and may have read for nothing. */
export const RANGE_PAGE_BYTES_MAX = 64 * 1024;

/** Pairs of a page of a range read. */
export const RANGE_PAGE_PAIRS_MAX = 10_000;

/**
 * Milliseconds that first reads of transactions wait for the one statement under way, to share the next one; then they
 * stop waiting, so that one slow answer holds nobody up.
 */
export const READ_GROUP_PATIENCE_MS = 20;

/** Statements with first reads under way at a time, the slow ones included; less than a node's sessions for reads. */
export const READ_GROUPS_IN_FLIGHT_MAX = 4;

/** Keys in one of these statements, so that no answer grows beyond some megabytes of usual values; more form another. */
export const READ_GROUP_KEYS_MAX = 256;
