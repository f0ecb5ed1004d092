/** kill -9 at random moments of loads over a published version: the directory opens and serves the old or the new one. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openIndex } from 'bitloom';
import { expect, test } from 'vitest';
import { generateDump } from '../../src/generate/generate.ts';
import { temporaryDirectory } from '../temporary.ts';

const KILLS = 20;
const CHILD = fileURLToPath(new URL('load-until-killed.mjs', import.meta.url));
const temporary = temporaryDirectory();
const directory = join(temporary.path, 'data');
/** How long the last load of a child took, until one is seen a guess. */
let loadMs = 500;

interface Killed {
  /** Dumps by the version that the child said it had published. */
  published: Map<number, string>;
  opened: boolean;
}

/**
 * Runs the child and kills it after it has published `publishes` versions and then spent `share` of the time a load took
 * before, so that kills fall everywhere in a load however fast the machine is.
 */
async function loadAndKill(args: string[], publishes: number, share: number): Promise<Killed> {
  const child = spawn(process.execPath, [CHILD, directory, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const killed: Killed = { published: new Map(), opened: false };
  const ended = new Promise((resolve) => child.once('close', resolve));
  let lastEventMs = performance.now();
  for await (const line of createInterface({ input: child.stdout })) {
    const [, version, dump] = /^published (\d+) (.*)$/.exec(line) ?? [];
    if (dump === undefined) killed.opened = true;
    else killed.published.set(Number(version), dump);
    if (killed.published.size > 0) loadMs = performance.now() - lastEventMs;
    lastEventMs = performance.now();
    if (killed.published.size === publishes) setTimeout(() => child.kill('SIGKILL'), share * loadMs);
  }
  await ended;
  return killed;
}

test(`${KILLS} kills leave a directory that serves exactly one of the dumps`, {
  timeout: 180_000,
}, async () => {
  const digests = new Map<string, string>();
  const dumps: string[] = [];
  for (const rows of [2000, 3000]) {
    const out = join(temporary.path, `${rows}`);
    await generateDump({ rows, out });
    const index = await openIndex({ definition: join(out, 'index.yaml'), inProcess: true });
    await index.load({ images: join(out, 'images.csv') }, { threads: 1 });
    digests.set(join(out, 'images.csv'), (await index.stats({ digest: true })).digest!.index);
    dumps.push(join(out, 'images.csv'));
    await index.close();
  }
  const definition = join(temporary.path, '2000', 'index.yaml');
  let versionBefore = 0;
  let killedWhilePublishing = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const { published, opened } = await loadAndKill([definition, ...dumps], 1 + (kill % 2), Math.random());
    expect(opened).toBe(true);
    const index = await openIndex({
      directory,
      definition,
      inProcess: true,
      onWarning: (warning) => expect.fail(warning),
    });
    try {
      const { version, digest } = await index.stats({ digest: true });
      const acknowledged = Math.max(versionBefore, ...published.keys());
      // What was acknowledged is there; at most the one version after it may have become durable unheard.
      expect([acknowledged, acknowledged + 1]).toContain(version);
      if (version > acknowledged) killedWhilePublishing++;
      if (version > 0) expect([...digests.values()]).toContain(digest!.index);
      const dump = published.get(version);
      if (dump !== undefined) expect(digest!.index).toBe(digests.get(dump));
      versionBefore = version;
    } finally {
      await index.close();
    }
  }
  expect(versionBefore).toBeGreaterThanOrEqual(KILLS);
  expect(killedWhilePublishing).toBeLessThan(KILLS);
});
