/** The commit part of the bench, as small as it gets, on a real Postgres. How large the figures are is not tested. */
import { expect, test } from 'vitest';
import { measureCommit } from '../../bench/commit.ts';
import { formatCommit } from '../../bench/commit-report.ts';
import { WORKLOADS } from '../../bench/commit-workloads.ts';
import { temporaryDirectory } from '../temporary.ts';

const folder = temporaryDirectory();

test('every workload runs on every system, adds up, and is counted on the wire', async () => {
  const result = await measureCommit({ clients: [3], warmUpMs: 50, runMs: 150 }, folder.path, () => {});
  expect(result.settings).toMatchObject({ fsync: 'on', synchronous_commit: 'on' });
  const systems = new Set(result.runs.map(({ system }) => system));
  expect(systems).toEqual(new Set(['bitloom', 'folded', 'plain', 'eager']));
  for (const { name } of WORKLOADS) {
    const runs = result.runs.filter(({ workload }) => workload === name);
    expect(runs.map(({ system }) => system)).toEqual(expect.arrayContaining(['bitloom', 'plain']));
    for (const { commits, commitsPerSecond, attemptsPerCommit, latencyMs } of runs) {
      expect(commits).toBeGreaterThan(0);
      expect(commitsPerSecond).toBeGreaterThan(0);
      expect(attemptsPerCommit).toBeGreaterThanOrEqual(1);
      expect(latencyMs.count).toBe(commits);
    }
  }

  const [{ batches, sessions }] = result.wire;
  const leader = sessions.find(({ name }) => name.endsWith('leader'));
  // Claim and apply; blind writes need no base values. Empty looks into the queue come on top.
  expect(leader?.statements).toBeGreaterThanOrEqual(2 * batches);
  expect(leader?.statements).toBe(leader?.roundTrips);

  const text = formatCommit(result).join('\n');
  expect(text).not.toMatch(/NaN|undefined|Infinity/);
});
