/**
 * Keeps the rejected rows of a load: all of them in the rejects file, the first ones for the report, and the count
 * against the budget. Rows arrive table by table in file order with exact line numbers.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Reject } from '../csv/reject.ts';
import { BitloomError } from '../errors.ts';
import { REPORT_REJECTS_MAX } from '../limits.ts';

export class RejectLog {
  readonly #maxRejects: number;
  readonly #file: string | null;
  readonly #descriptor: number | null;
  readonly #first: Reject[] = [];
  #count = 0;

  /** Creates or empties the rejects file at once, so that an old one is never mistaken for this load's. */
  constructor(maxRejects: number, file: string | null) {
    this.#maxRejects = maxRejects;
    this.#file = file;
    this.#descriptor = file === null ? null : openRejectsFile(file);
  }

  get count(): number {
    return this.#count;
  }

  get first(): Reject[] {
    return this.#first;
  }

  /** Error TOO_MANY_REJECTS, which names the first reject, once the budget is passed. */
  add(rejects: readonly Reject[]): void {
    if (rejects.length === 0) return;
    this.#count += rejects.length;
    for (const reject of rejects) {
      if (this.#first.length === REPORT_REJECTS_MAX) break;
      this.#first.push(reject);
    }
    this.#write(rejects);
    if (this.#count > this.#maxRejects) throw this.#overBudget();
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
  }

  #write(rejects: readonly Reject[]): void {
    if (this.#descriptor === null) return;
    const lines = rejects.map((reject) => `${JSON.stringify(reject)}\n`).join('');
    try {
      writeSync(this.#descriptor, lines);
    } catch (cause) {
      throw rejectsFileError(this.#file ?? '', cause);
    }
  }

  #overBudget(): BitloomError {
    const [reject] = this.#first;
    const column = reject.column === null ? '' : ` in column ${reject.column}`;
    return new BitloomError(
      'TOO_MANY_REJECTS',
      `table ${reject.table}: ${reject.message}${column} (${reject.code}); ${this.#count} rows rejected so far, ${this.#maxRejects} tolerated; nothing was published`,
      {
        hint: 'mend the row, or tolerate rejected rows with maxRejects (--max-rejects) and list them with rejectsFile (--rejects-file)',
        at: { file: reject.file, line: reject.line, byteOffset: reject.byteOffset },
        details: { reject },
      },
    );
  }
}

function openRejectsFile(file: string): number {
  try {
    return openSync(file, 'w');
  } catch (cause) {
    throw rejectsFileError(file, cause);
  }
}

function rejectsFileError(file: string, cause: unknown): BitloomError {
  return new BitloomError('REJECTS_FILE', `the rejects file ${file} cannot be written`, {
    hint: 'give rejectsFile a path in an existing, writable directory',
    cause,
  });
}
