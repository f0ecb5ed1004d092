/** What Prometheus is shown of a store. */
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { registerCommitMetrics } from '../../src/commit/commit-metrics.ts';
import { bytes, Stage } from './simulation/stage.ts';

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

test('a scrape shows the role, the versions, what was decided and how long it took', async () => {
  const leader = await stage.addNode();
  const follower = await stage.addNode();
  const registries = stage.nodes.map(({ store }) => {
    const registry = new Registry();
    registerCommitMetrics(store, registry);
    return registry;
  });
  for (let i = 0; i < 3; i++) {
    await stage.until(follower.store.transact((transaction) => transaction.set(bytes('a'), bytes('1'))));
  }
  await stage.pass(1500);
  const [ofLeader, ofFollower] = await Promise.all(registries.map((registry) => registry.metrics()));
  for (const line of [
    'bitloom_commit_leader 1',
    'bitloom_commit_epoch 1',
    'bitloom_commit_durable_version 3',
    'bitloom_commit_batches_total 3',
    'bitloom_commit_requests_total{verdict="committed"} 3',
    'bitloom_commit_requests_total{verdict="conflict"} 0',
    'bitloom_commit_phase_duration_seconds_count{phase="apply"} 3',
    'bitloom_commit_history_boundaries 2',
  ]) {
    expect(ofLeader.split('\n')).toContain(line);
  }
  expect(ofLeader).toMatch(/^bitloom_commit_lease_margin_seconds [34]\.\d/m);
  expect(ofFollower).toMatch(/^bitloom_commit_leader 0$/m);
  expect(ofFollower).toMatch(/^bitloom_commit_epoch Nan$/m);
  expect(ofFollower).toMatch(/^bitloom_commit_durable_version 3$/m);
  // Totals do not grow by being looked at.
  expect(await registries[0].metrics()).toContain('bitloom_commit_batches_total 3\n');
  expect(leader.store.stats().phases.apply.buckets.at(-1)).toMatchObject({ count: 3 });
});
