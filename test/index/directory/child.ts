/** Child processes that run a fixture of this folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Child {
  readonly process: ChildProcess;
  /** Lines of standard output as they come. */
  readonly lines: AsyncIterableIterator<string>;
  /** Ends it with SIGKILL and waits for its end. */
  kill(): Promise<void>;
}

export function startFixture(name: string, ...args: string[]): Child {
  const file = fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    process: child,
    lines,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export async function nextLine(child: Child): Promise<string> {
  const { value, done } = await child.lines.next();
  return done === true ? 'ended' : value;
}
