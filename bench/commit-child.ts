/**
 * One node of bench/commit.ts in a process of its own: runs transactions with so many clients at a time, each starting
 * its next one when the last one is acknowledged, and sends what came of it. Orders come one after the other.
 */
import type { CommitOrder, CommitReport, CommitNode as Node } from './commit-node.ts';

const { CommitNode } = await import('./commit-node.ts');
let node: Node | null = null;

process.on('message', async (order: CommitOrder) => {
  try {
    if (order.kind === 'open') node = await CommitNode.open(order.settings);
    const report: CommitReport = { ok: true };
    if (order.kind === 'run') report.run = await node!.run(order.runMs);
    if (order.kind === 'total') report.total = await node!.total();
    if (order.kind === 'close') await node?.close();
    process.send?.(report);
    if (order.kind === 'close') process.disconnect();
  } catch (error) {
    process.send?.({
      ok: false,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
});
