/**
 * Signatures of the kernels that scan and decode CSV (workers/kernels). All pointers are byte addresses in the memory
 * of the instance; what a kernel reads and writes is said in its source.
 */
import type { Pointer } from './kernel-memory.ts';

export interface CsvKernels {
  /**
   * Writes the address of every delimiter and LF outside quotes to `positions` (u32 each) and returns their count.
   * `source` is the start of a record, 64 bytes from `end` on must be readable. `stats` receives four u32: LFs outside
   * quotes, all LFs, 1 if a quote is irregular, 1 if the range ends inside quotes.
   */
  scan(
    source: Pointer,
    end: Pointer,
    delimiter: number,
    quote: number,
    positions: Pointer,
    stats: Pointer,
  ): number;
}
