/**
 * The chunks of one table during a load. Owns which ranges are still to scan and proves the cuts right: a chunk is
 * confirmed only when every chunk before it is and it starts exactly where the one before it ended. A chunk that began
 * inside a quoted field fails that test and is scanned again from the true boundary, so no heuristic decides what is
 * loaded. Confirmation runs in file order, which also makes line numbers exact.
 */
import type { Reject } from '../csv/reject.ts';
import type { ChunkPart, ScanResult } from './chunk-messages.ts';
import type { TableReport } from './options.ts';
import type { ChunkRange } from './planner.ts';
import type { Source } from './source.ts';

/** A byte range of the table and how far it has come. */
export interface PlannedChunk {
  start: number;
  end: number;
  /** `start` is a record boundary if the chunk before it was read right. */
  startExact: boolean;
  state: 'waiting' | 'running' | 'scanned';
  result: ScanResult | null;
}

/** What confirming has newly established. */
export interface Confirmation {
  /** With absolute line numbers, in file order. */
  readonly rejects: readonly Reject[];
  /** Results that were thrown away because their chunk has to be scanned again. */
  readonly discarded: readonly ScanResult[];
  /** The last confirmed chunk ended early because of its rejects. */
  readonly stoppedByRejects: boolean;
}

export class TableLoad {
  readonly source: Source;
  readonly columns: readonly string[];
  readonly #chunks: PlannedChunk[];
  readonly #startedAtMs: number;
  #confirmedCount = 0;
  #lines = 0;
  #rows = 0;
  #skippedRows = 0;
  #rejectedRows = 0;
  #mendedChunks = 0;
  #finishedAtMs = 0;
  #parts: ChunkPart[] = [];

  constructor(source: Source, columns: readonly string[], ranges: readonly ChunkRange[], nowMs: number) {
    this.source = source;
    this.columns = columns;
    this.#startedAtMs = nowMs;
    this.#chunks = ranges.map((range, index) => ({
      start: range.start,
      end: range.end,
      startExact: index === 0,
      state: 'waiting',
      result: null,
    }));
  }

  /** Every chunk is scanned and confirmed. */
  get complete(): boolean {
    return this.#confirmedCount === this.#chunks.length;
  }

  /** Confirmed parts in file order. */
  get parts(): readonly ChunkPart[] {
    return this.#parts;
  }

  /** Lets the parts go once they are merged. */
  releaseParts(): void {
    this.#parts = [];
  }

  /** The next chunk to scan, in file order, or null. Marks it running. */
  takeChunk(): PlannedChunk | null {
    const chunk = this.peekChunk();
    if (chunk !== null) chunk.state = 'running';
    return chunk;
  }

  peekChunk(): PlannedChunk | null {
    for (let index = this.#confirmedCount; index < this.#chunks.length; index++) {
      if (this.#chunks[index].state === 'waiting') return this.#chunks[index];
    }
    return null;
  }

  /** Records what a worker found. A chunk that reached `chunkLines` hands the rest of its range back as a new one. */
  completeChunk(chunk: PlannedChunk, result: ScanResult, nowMs: number): Confirmation {
    chunk.result = result;
    chunk.state = 'scanned';
    if (result.stopped === null && result.end < chunk.end) {
      const rest: PlannedChunk = {
        start: result.end,
        end: chunk.end,
        startExact: true,
        state: 'waiting',
        result: null,
      };
      const index = this.#chunks.indexOf(chunk, this.#confirmedCount);
      this.#chunks.splice(index + 1, 0, rest);
      chunk.end = result.end;
    }
    return this.#confirm(nowMs);
  }

  report(duplicateRows: number): TableReport {
    return {
      rows: this.#rows,
      skippedRows: this.#skippedRows,
      rejectedRows: this.#rejectedRows,
      duplicateRows,
      lines: this.#lines,
      bytes: this.source.bytes,
      chunks: this.#chunks.length,
      mendedChunks: this.#mendedChunks,
      durationMs: this.#finishedAtMs - this.#startedAtMs,
    };
  }

  #confirm(nowMs: number): Confirmation {
    const rejects: Reject[] = [];
    const discarded: ScanResult[] = [];
    let stoppedByRejects = false;
    while (this.#confirmedCount < this.#chunks.length) {
      const chunk = this.#chunks[this.#confirmedCount];
      const result = chunk.result;
      if (result === null) break;
      const boundary = this.#boundary();
      if (boundary !== null && result.start !== boundary) {
        discarded.push(result);
        this.#mend(chunk, boundary);
        continue;
      }
      for (const reject of result.rejects) rejects.push({ ...reject, line: reject.line + this.#lines });
      this.#lines += result.lines;
      this.#rows += result.rows;
      this.#skippedRows += result.skippedRows;
      this.#rejectedRows += result.rejectedRows;
      this.#parts.push(...result.parts);
      this.#confirmedCount++;
      this.#finishedAtMs = nowMs;
      if (result.stopped === 'rejects') {
        stoppedByRejects = true;
        break;
      }
    }
    return { rejects, discarded, stoppedByRejects };
  }

  /** Where the next chunk must start: the end of the last confirmed one; null for the first. */
  #boundary(): number | null {
    if (this.#confirmedCount === 0) return null;
    return this.#chunks[this.#confirmedCount - 1].result!.end;
  }

  /** Puts a chunk back with its true start; one that lies wholly inside an earlier record disappears. */
  #mend(chunk: PlannedChunk, boundary: number): void {
    if (boundary >= chunk.end) {
      this.#chunks.splice(this.#confirmedCount, 1);
      return;
    }
    this.#mendedChunks++;
    chunk.start = boundary;
    chunk.startExact = true;
    chunk.state = 'waiting';
    chunk.result = null;
  }
}
