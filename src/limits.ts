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

/** Worker threads of a load at most; more is the error OPTION_INVALID. */
export const THREADS_MAX = 256;

/** Bytes of one chunk at least, so that small files are not cut into tasks smaller than their overhead. */
export const CHUNK_BYTES_MIN = 2560 * 1024;

/** The smallest chunk of a file is its share of a thread divided by this, so that threads finish together. */
export const CHUNKS_PER_THREAD_MAX = 8;

/** Rejected rows kept in the report of a load; `rejectsFile` gets all of them. */
export const REPORT_REJECTS_MAX = 100;

/** Milliseconds between two progress reports within a phase. */
export const PROGRESS_INTERVAL_MS = 100;

/** MiB of young objects in a worker thread: what a chunk leaves behind then dies young, and collections stay rare. */
export const WORKER_YOUNG_GENERATION_MB = 16;

/** Milliseconds an idle worker thread is kept for the next load. */
export const WORKER_IDLE_MS = 30_000;

/** Rows decoded at a time: bounds the buffers of a chunk worker whatever the length of the lines. */
export const BATCH_ROWS_MAX = 131_072;

/** Images of a generated dump, so that slots (about 1.2 × rows) stay unsigned 32-bit; more is GENERATE_OPTIONS. */
export const GENERATE_ROWS_MAX = 3_000_000_000;

/** Bytes of a definition file; a larger one is DEFINITION_INVALID, it is most likely a dump given by mistake. */
export const DEFINITION_BYTES_MAX = 1024 * 1024;

/** YAML nodes of a definition with aliases expanded; more is DEFINITION_INVALID, so nested aliases cannot explode. */
export const DEFINITION_NODES_MAX = 20_000;

/** Bitmaps of small filter values that a reader keeps at hand per field; more are made again when asked for. */
export const SMALL_BITMAPS_CACHED_MAX = 4096;

/** Views of large filter values that a reader keeps at hand per field; more are made again when asked for. */
export const LARGE_BITMAPS_CACHED_MAX = 65_536;

/** Slots with a value up to which a column page is a list of positions and keys instead of an array of 65,536. */
export const COLUMN_SPARSE_SLOTS_MAX = 8192;

/** Bytes of all strings of one field's dictionary, whose offsets are 32-bit; more is the error DICTIONARY_TOO_LARGE. */
export const DICTIONARY_BYTES_MAX = 2 ** 32 - 1;

/** Nesting of a definition file; deeper is DEFINITION_INVALID. The definition's own shape needs six levels. */
export const DEFINITION_DEPTH_MAX = 16;

/** Attempts to take over the lock of a dead process while others try the same; then DIRECTORY_LOCKED. */
export const LOCK_ATTEMPTS_MAX = 20;

/** Milliseconds between these attempts. */
export const LOCK_RETRY_DELAY_MS = 10;

/** Segment files written or read at the same time: as many as the default libuv pool has threads. */
export const SEGMENT_FILES_PARALLEL_MAX = 4;

/** Bytes of one read or write call; the operating system takes less than 2 GiB at once. */
export const FILE_SLICE_BYTES = 64 * 1024 * 1024;

/** Times a reader without the lock starts over because the writer replaced the version it was reading. */
export const READ_ONLY_OPEN_ATTEMPTS_MAX = 20;

/** Bytes of memory a thread keeps from one built segment to the next; what is above goes back to the system. */
export const SCRATCH_BYTES_KEPT_MAX = 24 * 1024 * 1024;

/** Smaller segments are built in fresh memory, which is then touched anyway. */
export const SPARE_SEGMENT_BYTES_MIN = 64 * 1024;

/** Bytes of replaced versions that are kept for the next one; what is above goes back to the system. */
export const SPARE_SEGMENTS_BYTES_MAX = 64 * 1024 * 1024;

/** Blocks of chunk messages in memory, 528 KiB each, and kept from one load to the next: what a million rows of a usual dump need. */
export const MESSAGE_BLOCKS_KEPT_MAX = 80;

/** The same for a load that spills anyway: enough to have a block at hand on many threads. */
export const MESSAGE_BLOCKS_SPILLING_MAX = 32;

/** Entities in one batch of ops; more is the error BATCH_TOO_LARGE. Some twenty times what a source sends at once. */
export const BATCH_ENTITIES_MAX = 100_000;

/** Ops in one batch once resolved, members of lists counted singly; more is the error BATCH_TOO_LARGE. */
export const BATCH_OPS_MAX = 4_000_000;

/** Bytes of one batch as JSON text or encoded for the op log; more is the error BATCH_TOO_LARGE. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes of one op log record (one batch of ops) at most; a larger one is LOG_RECORD_TOO_LARGE. */
export const LOG_RECORD_BYTES_MAX = 64 * 1024 * 1024;

/** Bytes of an op log segment from which the next record starts a new one (`segmentBytesMax`); the unit of removal. */
export const LOG_SEGMENT_BYTES_MAX_DEFAULT = 64 * 1024 * 1024;

/** The most that `segmentBytesMax` takes, so that offsets in a segment fit 32 bits; more is OPTION_INVALID. */
export const LOG_SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;

/** Bytes of records waiting for the op log's disk; more is LOG_OVERLOADED. Holds at least one record of any size. */
export const LOG_QUEUE_BYTES_MAX = 128 * 1024 * 1024;

/** Bytes of records from which the op log flushes without taking more waiting ones along, so that none waits long. */
export const LOG_GROUP_BYTES_MAX = 16 * 1024 * 1024;

/** Milliseconds that appends may be held back to share a flush (`flushDelayMs`); more is OPTION_INVALID. */
export const LOG_FLUSH_DELAY_MS_MAX = 1000;

/** Milliseconds after a failed write during which the op log refuses appends without trying the disk again. */
export const LOG_RETRY_DELAY_MS = 1000;

/** Bytes an op log reads or writes at a time: a multiple of its blocks. */
export const LOG_WINDOW_BYTES = 1024 * 1024;

/** Bytes of damaged op log ranges kept aside in all; of further ones only place and reason are kept. */
export const LOG_QUARANTINE_BYTES_MAX = 1024 * 1024 * 1024;

/** Characters of a load's `label`, which every later manifest carries; more is OPTION_INVALID. */
export const LOAD_LABEL_CHARACTERS_MAX = 256;

/** Dumps in the registry of a server, ended ones included; more is DUMPS_TOO_MANY. Each change writes all of them. */
export const DUMPS_KEPT_MAX = 1000;

/** Bytes of a request body other than a batch of ops; more is BODY_TOO_LARGE. A `where` at its own limits is smaller. */
export const REQUEST_BODY_BYTES_MAX = 1024 * 1024;

/** Nesting of a JSON request body; deeper is REQUEST_INVALID. A `where` at WHERE_DEPTH_MAX needs some 70 levels. */
export const JSON_DEPTH_MAX = 128;

/** Batches that a server works on at a time; more is SERVER_OVERLOADED (429), and the sender keeps its batch. */
export const BATCHES_IN_FLIGHT_MAX = 256;

/** Bytes of these batches; more is SERVER_OVERLOADED (429). Holds a few of the largest, so that memory stays bounded. */
export const BATCHES_IN_FLIGHT_BYTES_MAX = 256 * 1024 * 1024;

/** Queries and counts that a server works on at a time; more is SERVER_OVERLOADED (429) instead of a long wait. */
export const QUERIES_IN_FLIGHT_MAX = 256;

/** Connections of a server; further ones are closed at once. */
export const CONNECTIONS_MAX = 4096;

/** Milliseconds between two looks for requests that have not arrived in time. */
export const CONNECTIONS_CHECK_INTERVAL_MS = 1_000;

/** Milliseconds after which a request that is not answered gets REQUEST_TIMEOUT (`--request-timeout`). */
export const REQUEST_TIMEOUT_MS_DEFAULT = 30_000;

/** Seconds in `Retry-After` of an answer that asks to try again. */
export const RETRY_AFTER_SECONDS = 1;

/** Milliseconds that a read waits for the position in `after` when it does not say (`waitMs`). */
export const POSITION_WAIT_MS_DEFAULT = 5_000;

/** Milliseconds between two questions of the server to its engine thread. */
export const HEARTBEAT_INTERVAL_MS = 1_000;

/** Milliseconds without an answer of the engine thread from which the server is not ready. */
export const HEARTBEAT_LATE_MS = 5_000;

/** Milliseconds without an answer from which it is not live: longer than anything the engine does at a stretch. */
export const HEARTBEAT_LOST_MS = 60_000;

/** Characters of an access token at least; a shorter one is OPTION_INVALID. */
export const TOKEN_CHARACTERS_MIN = 16;

/** Sources whose positions an index keeps; further ones count together, so that names cannot fill memory and manifests. */
export const SOURCES_TRACKED_MAX = 1000;

/** Characters in the name of a source that is told apart; longer ones count together. */
export const SOURCE_CHARACTERS_MAX = 256;

/** Bitmaps of changed values that a field keeps at hand; more are made again when asked for. Each may be a copy. */
export const VIEWS_KEPT_MAX = 256;

/** Part of a batch's entities that has to repeat a slot or a field for dedup to pay; below it the batch stays as it was sent. */
export const DEDUP_REPEATS_PART = 1 / 4;

/** Matches of a queryOpSet from which they are changed as one bitmap, which costs the field's views, not slot by slot. */
export const BULK_MATCHES_MIN = 4096;

/** Bytes of batches that an index without a directory keeps for the end of a load; more is LOG_OVERLOADED. */
export const JOURNAL_BYTES_MAX = 1024 * 1024 * 1024;

/** Bytes of op log since the last checkpoint at which the next one is due: some seconds of replay when opening. */
export const CHECKPOINT_LOG_BYTES_DEFAULT = 64 * 1024 * 1024;

/** A checkpoint writes the index anew, so a large index waits for this part of its own bytes in the op log. */
export const CHECKPOINT_INDEX_PART = 1 / 16;

/** Changes in memory at which a checkpoint is due too: some hundred megabytes. */
export const CHECKPOINT_CHANGES_MAX = 16_000_000;

/** Bytes of an index and its changes up to which the engine's thread compacts them itself: about 10 ms. */
export const COMPACTED_HERE_BYTES_MAX = 1024 * 1024;
