/**
 * `npm run bench`: the command `bitloom bench`. As in src/cli/main.ts, the arguments are taken away before the addon
 * loader can see them.
 */
const args = process.argv.splice(2);
const { runCommand } = await import('../src/cli/program.ts');
await runCommand(['bench', ...args]);
