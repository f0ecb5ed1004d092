/** Opens an index directory for reading, in this thread: one question does not repay starting another. */
import { type BitloomIndex, openIndex } from '../index.ts';

/** What the commands that only read have in common. */
export interface ReadOnlyArguments {
  directory: string;
  definition?: string;
  json?: boolean;
}

/** Runs `use` on the opened index and closes it whatever happens. */
export async function withReadOnlyIndex<Result>(
  given: ReadOnlyArguments,
  use: (index: BitloomIndex) => Promise<Result>,
): Promise<Result> {
  const index = await openIndex({
    directory: given.directory,
    readOnly: true,
    inProcess: true,
    ...(given.definition === undefined ? {} : { definition: given.definition }),
  });
  try {
    return await use(index);
  } finally {
    await index.close();
  }
}
