/** Runs the command as a user does: the built one (`npm test` builds first), in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  input?: string;
  /** Called with every piece of standard error while the command runs. */
  onStderr?: (piece: string, child: ChildProcess) => void;
}

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export async function runBitloom(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'pipe' });
  child.stdin.end(options.input ?? '');
  child.stderr.on('data', (piece: Buffer) => options.onStderr?.(piece.toString(), child));
  const [code, stdout, stderr] = await Promise.all([
    new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve)),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, stdout, stderr };
}
