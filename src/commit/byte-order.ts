/** Keys as bytes in memcmp order, which is the order of `bytea`; and as strings, where a Map needs them. */

/** Below 0 when `a` comes first, 0 when they are equal. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  // Most keys of one store are short or differ early; a call into native code costs more than this loop there.
  const near = Math.min(length, 24);
  for (let at = 0; at < near; at++) {
    const difference = a[at] - b[at];
    if (difference !== 0) return difference;
  }
  if (length === near) return a.length - b.length;
  return Buffer.compare(a, b);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** The first key after `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1);
  after.set(key);
  return after;
}

export function bytesToHex(bytes: Uint8Array): string {
  return viewOf(bytes).toString('hex');
}

/** One character for each byte: strings of this kind compare like their bytes, and take half the memory of hex. */
export function bytesToLatin1(bytes: Uint8Array): string {
  return viewOf(bytes).toString('latin1');
}

export function latin1ToBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** The first index from which the ascending keys are not before `key`. */
export function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function viewOf(bytes: Uint8Array): Buffer {
  if (bytes instanceof Buffer) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
