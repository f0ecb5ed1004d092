/**
 * Versionstamps: 10 bytes that order keys or values by commit, a big-endian u64 of the commit version and two zero bytes.
 * All stamped operations of one transaction get the same. The key or value that receives one is a template: 10 bytes to
 * be replaced, anywhere, and at its end a little-endian u32 that says where, which is taken off.
 */
import { keyAfter } from './byte-order.ts';
import { CommitError } from './commit-error.ts';
import type { KeyRange } from './commit-storage.ts';

export const VERSIONSTAMP_BYTES = 10;
export const STAMP_OFFSET_BYTES = 4;

export function versionstampOf(version: number): Uint8Array {
  const stamp = new Uint8Array(VERSIONSTAMP_BYTES);
  new DataView(stamp.buffer).setBigUint64(0, BigInt(version));
  return stamp;
}

/** @throws CommitError VERSIONSTAMP_OFFSET_INVALID unless the template has an offset and room for a stamp there. */
export function checkStampOffset(template: Uint8Array, what: 'key' | 'value'): void {
  const bodyBytes = template.length - STAMP_OFFSET_BYTES;
  if (bodyBytes >= VERSIONSTAMP_BYTES && offsetOf(template) <= bodyBytes - VERSIONSTAMP_BYTES) return;
  throw new CommitError(
    'VERSIONSTAMP_OFFSET_INVALID',
    bodyBytes < VERSIONSTAMP_BYTES
      ? `a versionstamped ${what} of ${template.length} bytes has no room for a stamp and its offset`
      : `a versionstamp at offset ${offsetOf(template)} does not fit a ${what} of ${bodyBytes} bytes`,
    {
      hint: 'the last four bytes are the little-endian offset of ten bytes before them that the stamp replaces',
    },
  );
}

/** The template with its stamp, without its offset. A new buffer; the template must have passed `checkStampOffset`. */
export function stampTemplate(template: Uint8Array, stamp: Uint8Array): Uint8Array {
  // Not `slice`, which for a Buffer is a view: this would write into the request.
  const stamped = new Uint8Array(template.subarray(0, template.length - STAMP_OFFSET_BYTES));
  stamped.set(stamp, offsetOf(template));
  return stamped;
}

/**
 * All keys that a template may become when it commits on top of `version`: those with a higher commit version. A key that
 * reads at that version saw already is not among them.
 */
export function stampedKeyRange(template: Uint8Array, version: number): KeyRange {
  const highest = new Uint8Array(VERSIONSTAMP_BYTES).fill(0xff);
  return {
    begin: stampTemplate(template, versionstampOf(version + 1)),
    end: keyAfter(stampTemplate(template, highest)),
  };
}

function offsetOf(template: Uint8Array): number {
  const at = template.length - STAMP_OFFSET_BYTES;
  return template[at] + template[at + 1] * 0x100 + template[at + 2] * 0x10000 + template[at + 3] * 0x1000000;
}
