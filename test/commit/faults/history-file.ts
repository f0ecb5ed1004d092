/**
 * The history of one process as lines of JSON in a file, written before and after everything it tells of, so that the
 * end of the process at any moment loses nothing that it acknowledged. The clock is that of the machine, monotonic and
 * the same for all processes.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Attempt } from './history-checker.ts';
import type { Read, Write } from './model.ts';

type Line =
  | { readonly kind: 'begin'; readonly token: string; readonly atNs: number }
  /** The function has run; the request is about to be sent. */
  | {
      readonly kind: 'act';
      readonly token: string;
      readonly snapshotVersion: number | null;
      readonly reads: readonly Read[];
      readonly writes: readonly Write[];
    }
  | {
      readonly kind: 'end';
      readonly token: string;
      readonly atNs: number;
      readonly outcome: Attempt['outcome'];
      readonly version: number | null;
      readonly refusal: string | null;
    };

export class HistoryWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  begin(token: string): void {
    this.#write({ kind: 'begin', token, atNs: nowNs() });
  }

  act(token: string, act: Pick<Attempt, 'snapshotVersion' | 'reads' | 'writes'>): void {
    this.#write({ kind: 'act', token, ...act });
  }

  end(token: string, end: Pick<Attempt, 'outcome' | 'version' | 'refusal'>): void {
    this.#write({ kind: 'end', token, atNs: nowNs(), ...end });
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** @param process what the attempts are said to be of. */
export function readHistory(path: string, process: string): Attempt[] {
  const attempts = new Map<string, Attempt>();
  // A line without an end is one that the end of the process cut off: nothing was done after it.
  for (const text of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const line = JSON.parse(text) as Line;
    const { token } = line;
    if (line.kind === 'begin') attempts.set(token, beginning(process, token, line.atNs));
    else if (line.kind === 'act') {
      const { snapshotVersion, reads, writes } = line;
      attempts.set(token, { ...attempts.get(token)!, snapshotVersion, reads, writes, isSent: true });
    } else {
      const { atNs, outcome, version, refusal } = line;
      attempts.set(token, { ...attempts.get(token)!, answeredAtNs: atNs, outcome, version, refusal });
    }
  }
  return Array.from(attempts.values());
}

/** Below 2^53 for the first hundred days of a machine. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}

function beginning(process: string, token: string, invokedAtNs: number): Attempt {
  return {
    token,
    process,
    invokedAtNs,
    answeredAtNs: null,
    outcome: 'unknown',
    version: null,
    refusal: null,
    snapshotVersion: null,
    reads: [],
    writes: [],
    isSent: false,
  };
}
