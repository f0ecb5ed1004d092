#!/usr/bin/env node
/** Entry of the `bitloom` command. */
import { runCommand } from './program.ts';

await runCommand(process.argv.slice(2));
