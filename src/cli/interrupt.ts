/**
 * SIGINT and SIGTERM as an AbortSignal: the first asks the operation to stop and clean up, a second ends the process at
 * once. Owns its signal handlers and gives them back when the operation is over.
 */
import { EXIT_INTERRUPTED } from './exit-code.ts';

export async function withInterrupt<Result>(
  operation: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await operation(controller.signal);
  } catch (error) {
    if (controller.signal.aborted) throw new Interrupted(error);
    throw error;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** The operation ended because the user asked for it; its own error is the cause. */
export class Interrupted extends Error {
  constructor(cause: unknown) {
    super('interrupted, nothing was published and the previous version is unchanged', { cause });
    this.name = 'Interrupted';
  }
}
