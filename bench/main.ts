/** `npm run bench`: the command `bitloom bench`. */
import { runCommand } from '../src/cli/program.ts';

await runCommand(['bench', ...process.argv.slice(2)]);
