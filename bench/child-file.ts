/** The compiled entry of a child process of the bench: a loader of TypeScript would take part in what is measured. */
import { fileURLToPath } from 'node:url';

const COMPILED = import.meta.url.endsWith('.ts') ? '../dist/bench/' : './';

export function childFile(name: 'memory-child' | 'duckdb-child' | 'server-child' | 'commit-child'): string {
  return fileURLToPath(new URL(`${COMPILED}${name}.js`, import.meta.url));
}
