/** The next message of a child process. */
import type { ChildProcess } from 'node:child_process';

/** @throws what `endedWith` makes of the exit code when the child ends before it has answered. */
export function answerOf<Answer>(
  child: ChildProcess,
  endedWith: (code: number | null) => Error,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (code: number | null): void => reject(endedWith(code));
    child.once('close', fail);
    child.once('message', (answer) => {
      child.off('close', fail);
      resolve(answer as Answer);
    });
  });
}
