/**
 * Reads a stretch of a segment, through a window, so that memory does not grow with it, or writes it anew. A place that the
 * device cannot read costs the records that touch it, as any other damage; reading goes on behind it.
 */
import { LOG_WINDOW_BYTES } from '../limits.ts';
import { type LogFile, readFully, writeFully } from './log-file-system.ts';
import type { DecodedEvent, RecordDecoder } from './record-decoder.ts';
import { BLOCK_BYTES } from './segment-format.ts';

/** Stands in for bytes that cannot be read: no header, and unlike zeros no sign of a write that never happened. */
const UNREADABLE = 0xff;

/** Feeds the decoder the bytes from `from` up to `to` or the end of the file, and gives out what it finds. */
export async function* scanSegment(
  file: LogFile,
  decoder: RecordDecoder,
  from: number,
  to: number,
): AsyncGenerator<DecodedEvent[]> {
  const window = Buffer.allocUnsafeSlow(Math.min(LOG_WINDOW_BYTES, to - from));
  for (let position = from; position < to; ) {
    // Windows end at the end of a block, as the decoder wants it.
    const end = Math.min(to, position + LOG_WINDOW_BYTES - (position % LOG_WINDOW_BYTES));
    const target = window.subarray(0, end - position);
    const count = await readSurviving(file, target, position);
    decoder.push(target.subarray(0, count));
    const events = decoder.takeEvents();
    if (events.length > 0) yield events;
    if (count < target.length) return;
    position = end;
  }
}

/** As readFully; blocks that the device cannot read are filled instead. */
export async function readSurviving(file: LogFile, target: Buffer, position: number): Promise<number> {
  try {
    return await readFully(file, target, position);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
  let filled = 0;
  while (filled < target.length) {
    const room = BLOCK_BYTES - ((position + filled) % BLOCK_BYTES);
    const block = target.subarray(filled, filled + room);
    let count: number;
    try {
      count = await readFully(file, block, position + filled);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      block.fill(UNREADABLE);
      count = block.length;
    }
    filled += count;
    if (count < block.length) break;
  }
  return filled;
}

/**
 * Writes the blocks from `from` up to `to` anew with what they hold, for the next flush to bring to the device. After a
 * failed flush the operating system takes pages for written that are not, and shows them until they are needed elsewhere.
 */
export async function rewrite(file: LogFile, from: number, to: number): Promise<void> {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  for (let start = from - (from % BLOCK_BYTES); start < to; start += BLOCK_BYTES) {
    const bytes = Math.min(BLOCK_BYTES, to - start);
    let count = 0;
    try {
      count = await readFully(file, block.subarray(0, bytes), start);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
    if (count > 0) await writeFully(file, block.subarray(0, count), start);
  }
}

function isUnreadable(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EIO';
}
