/**
 * Reads bytes that may be anything: every read is checked against the end, and a count that the rest of the bytes cannot
 * hold is refused before memory is taken for it.
 */
import { isUtf8 } from 'node:buffer';
import { BitloomError } from '../errors.ts';

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get bytesLeft(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    if (this.#at >= this.#bytes.length) throw this.corrupt('the bytes end early');
    return this.#bytes[this.#at++];
  }

  /** An unsigned 32-bit number: seven bits a byte, low first. */
  varint(): number {
    // Beyond the end it is undefined, which is not below either.
    const first = this.#bytes[this.#at];
    if (first < 0x80) {
      this.#at++;
      return first;
    }
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw this.corrupt('a number is longer than 32 bits');
  }

  /** A number of things of which each takes `bytesEach` bytes at least. */
  count(bytesEach: number): number {
    const count = this.varint();
    if (count * bytesEach > this.bytesLeft)
      throw this.corrupt(`a count of ${count} is more than the bytes hold`);
    return count;
  }

  double(): number {
    if (this.bytesLeft < 8) throw this.corrupt('the bytes end early');
    this.#at += 8;
    return this.#bytes.readDoubleLE(this.#at - 8);
  }

  text(byteCount: number): string {
    if (byteCount > this.bytesLeft) throw this.corrupt('the bytes end early');
    const start = this.#at;
    this.#at += byteCount;
    if (!isUtf8(this.#bytes.subarray(start, this.#at))) throw this.corrupt('a text is not valid UTF-8');
    return this.#bytes.toString('utf8', start, this.#at);
  }

  /** Texts one after the other, each of so many bytes. */
  texts(byteCounts: Uint32Array): string[] {
    const total = byteCounts.reduce((sum, byteCount) => sum + byteCount, 0);
    if (total > this.bytesLeft) throw this.corrupt('the bytes end early');
    const bytes = this.#bytes;
    let start = this.#at;
    if (!isUtf8(bytes.subarray(start, start + total))) throw this.corrupt('a text is not valid UTF-8');
    this.#at += total;
    const texts: string[] = [];
    for (const byteCount of byteCounts) {
      // All together are valid, so each is unless it begins in the middle of a character.
      if (byteCount > 0 && (bytes[start] & 0xc0) === 0x80) throw this.corrupt('a text is not valid UTF-8');
      texts.push(bytes.toString('utf8', start, start + byteCount));
      start += byteCount;
    }
    return texts;
  }

  corrupt(reason: string): BitloomError {
    return new BitloomError('BATCH_CORRUPT', `encoded batch: ${reason}`, { at: { byteOffset: this.#at } });
  }
}
