/** Exit codes of the command, part of its contract. */

export const EXIT_DONE = 0;
/** Nothing was changed: the arguments were wrong, or the operation failed. */
export const EXIT_FAILED = 1;
/** The load was published, and some rows were rejected within the budget. */
export const EXIT_DONE_WITH_REJECTS = 2;
/** Interrupted by SIGINT (128 + 2), nothing published. */
export const EXIT_INTERRUPTED = 130;
