/**
 * Where the thread entries of workers/ are. Threads always run compiled files: Node.js starts no thread from TypeScript.
 * Code that itself runs from the sources, as unit tests do, uses the entries of the last build.
 */
const COMPILED_ROOT = import.meta.url.endsWith('.ts') ? '../dist/' : '../';

export function threadEntry(name: 'chunk' | 'engine'): URL {
  return new URL(`${COMPILED_ROOT}workers/${name}.js`, import.meta.url);
}
