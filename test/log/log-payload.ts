/** Payloads that say who they are, and chance that repeats itself. */

/** Small, fast, and the same everywhere for one seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that follow from id and length. */
export function payloadOf(id: number, bytes: number): Buffer {
  const payload = Buffer.alloc(bytes);
  let state = (id + 1) * 0x9e3779b1;
  for (let at = 0; at < bytes; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    payload[at] = state >>> 24;
  }
  if (bytes >= 4) payload.writeUInt32LE(id, 0);
  return payload;
}
