/** Opens an index directory for one command, hands warnings to the user, and closes it whatever happens. */
import { type BitloomIndex, type OpenOptions, openIndex } from '../index.ts';

/** What all commands on a directory have in common. */
export interface DirectoryArguments {
  directory: string;
  definition?: string;
  json?: boolean;
}

/** For loading: takes the directory's lock; the engine has a thread of its own, so progress is drawn while it works. */
export function withIndex<Result>(
  given: DirectoryArguments,
  use: (index: BitloomIndex) => Promise<Result>,
): Promise<Result> {
  return useIndex(given, {}, use);
}

/** For questions: without a lock and in this thread, as one question does not repay starting another. */
export function withReadOnlyIndex<Result>(
  given: DirectoryArguments,
  use: (index: BitloomIndex) => Promise<Result>,
): Promise<Result> {
  return useIndex(given, { readOnly: true, inProcess: true }, use);
}

async function useIndex<Result>(
  given: DirectoryArguments,
  options: OpenOptions,
  use: (index: BitloomIndex) => Promise<Result>,
): Promise<Result> {
  const index = await openIndex({
    ...options,
    directory: given.directory,
    ...(given.definition === undefined ? {} : { definition: given.definition }),
    onWarning: (warning) =>
      process.stderr.write(`${given.json ? JSON.stringify({ warning }) : `warning: ${warning}`}\n`),
  });
  try {
    return await use(index);
  } finally {
    await index.close();
  }
}
