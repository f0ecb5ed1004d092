/**
 * Arrays of byte strings as Postgres reads them in binary: one parameter, no hex, a quarter of the time of a text array.
 * The format is that of array_recv for one dimension: int32 dimensions, int32 has-nulls, int32 element type, int32
 * length, int32 lower bound, then for each element int32 length (-1 is NULL) and its bytes; all big-endian.
 */
const BYTEA_OID = 17;
const HEADER_BYTES = 20;
const EMPTY_HEADER_BYTES = 12;

/** The whole array is copied; the elements may change afterwards. */
export function encodeByteaArray(elements: readonly (Uint8Array | null)[]): Uint8Array {
  if (elements.length === 0) return header(Buffer.alloc(EMPTY_HEADER_BYTES), 0, false);
  let bytes = HEADER_BYTES;
  let hasNulls = false;
  for (const element of elements) {
    bytes += 4 + (element?.length ?? 0);
    hasNulls ||= element === null;
  }
  const target = Buffer.allocUnsafe(bytes);
  header(target, 1, hasNulls);
  target.writeInt32BE(elements.length, 12);
  target.writeInt32BE(1, 16);
  let offset = HEADER_BYTES;
  for (const element of elements) {
    offset = target.writeInt32BE(element?.length ?? -1, offset);
    if (element === null) continue;
    target.set(element, offset);
    offset += element.length;
  }
  return target;
}

function header(target: Buffer, dimensions: number, hasNulls: boolean): Buffer {
  target.writeInt32BE(dimensions, 0);
  target.writeInt32BE(hasNulls ? 1 : 0, 4);
  target.writeInt32BE(BYTEA_OID, 8);
  return target;
}
