/**
 * Many seeded runs of a whole cluster. Nothing is wrong in any of them, and every fault put back is found.
 * BITLOOM_COMMIT_SCHEDULES sets how many runs; BITLOOM_SEED where they begin. A run that fails prints how to repeat it.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyClaims, MUTANTS } from './mutants.ts';
import { runSchedule } from './schedule.ts';

const RUN_COUNT = Number(process.env.BITLOOM_COMMIT_SCHEDULES ?? 300);
const FIRST_SEED = Number(process.env.BITLOOM_SEED ?? 1);
const MUTANT_RUNS_MAX = 2000;
const TRACE_LINES = 200;
const MINUTES = 60_000;

const { stackTraceLimit } = Error;
beforeAll(() => {
  // Faults make errors by the thousand.
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

test(
  `${RUN_COUNT} runs from seed ${FIRST_SEED}: every invariant holds`,
  async () => {
    const total = { commits: 0, epochs: 0, crashes: 0, unknown: 0, tooOld: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUN_COUNT; seed++) {
      const report = await runSchedule(seed);
      if (report.violations.length > 0) await explain(seed);
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += report[key];
    }
    // The runs are worth something only if these happen in them.
    if (RUN_COUNT < 300) return;
    for (const count of Object.values(total)) expect(count).toBeGreaterThan(0);
    expect(total.commits).toBeGreaterThan(5 * RUN_COUNT);
    expect(total.epochs).toBeGreaterThan(2 * RUN_COUNT);
  },
  60 * MINUTES,
);

test('a seed gives the same run each time', async () => {
  const [first, second] = [await runSchedule(7, undefined, true), await runSchedule(7, undefined, true)];
  expect(first.events).toBeGreaterThan(50);
  expect(second).toEqual(first);
});

test.each(Object.entries(MUTANTS))(
  'the checker finds: %s',
  async (_, createMutant) => {
    const expected = `${createMutant().violates}:`;
    const violations: string[] = [];
    for (
      let seed = 1;
      seed <= MUTANT_RUNS_MAX && !violations.some((one) => one.startsWith(expected));
      seed++
    ) {
      violations.push(...(await runSchedule(seed, createMutant)).violations);
    }
    expect(violations).toContainEqual(expect.stringMatching(`^${expected}`));
  },
  5 * MINUTES,
);

test('copies of requests in one batch change nothing', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const { violations } = await runSchedule(seed, () => ({ storage: copyClaims }));
    expect(violations, `seed ${seed}`).toEqual([]);
  }
});

/** Runs the seed again for its trace. */
async function explain(seed: number): Promise<never> {
  const { violations, trace } = await runSchedule(seed, undefined, true);
  throw new Error(
    [
      `seed ${seed}:`,
      ...violations.map((violation) => `  ${violation}`),
      `again: BITLOOM_SEED=${seed} BITLOOM_COMMIT_SCHEDULES=1 npx vitest run test/commit/simulation`,
      ...trace.slice(-TRACE_LINES),
    ].join('\n'),
  );
}
