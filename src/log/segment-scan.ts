/**
 * Reads a stretch of a segment through a window, so that memory does not grow with the segment. A place that the device
 * cannot read costs the records that touch it, as any other damage; reading goes on behind it.
 */
import { LOG_WINDOW_BYTES } from '../limits.ts';
import { type LogFile, readFully } from './log-file-system.ts';
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

function isUnreadable(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EIO';
}
