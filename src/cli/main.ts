#!/usr/bin/env node
/**
 * Entry of the `bitloom` command. The roaring addon finds its binary with node-pre-gyp, which reads process.argv as its
 * own command line and would follow a --directory in it, so the arguments are taken away before anything is imported.
 */
const args = process.argv.splice(2);
const { runCommand } = await import('./program.ts');
await runCommand(args);
