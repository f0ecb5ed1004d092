/**
 * Tests run in child processes: the roaring addon and worker threads get a process of their own per file, so a crash or
 * a leaked thread is charged to the file that caused it.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/leak-check.ts'],
    pool: 'forks',
    // Loads start a thread pool of their own; two files at a time keep a small machine from oversubscribing.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    reporters: ['default'],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts', 'workers/*.ts'],
      reporter: ['text-summary', 'html'],
    },
  },
});
