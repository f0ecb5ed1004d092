/**
 * Reads bytes that may be anything: every read is checked against the end, and a count that the rest of the bytes cannot
 * hold is refused before memory is taken for it. What the bytes are of, and so which error they give, says the subclass.
 */
import type { BitloomError } from './errors.ts';

export abstract class ByteReader {
  protected readonly bytes: Buffer;
  protected at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The error for bytes that cannot be what they should; it names the place reached. */
  abstract corrupt(reason: string): BitloomError;

  get bytesLeft(): number {
    return this.bytes.length - this.at;
  }

  byte(): number {
    if (this.at >= this.bytes.length) throw this.endsEarly();
    return this.bytes[this.at++];
  }

  /** An unsigned 32-bit number: seven bits a byte, low first. */
  varint(): number {
    // Beyond the end it is undefined, which is not below either.
    const first = this.bytes[this.at];
    if (first < 0x80) {
      this.at++;
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

  protected endsEarly(): BitloomError {
    return this.corrupt('the bytes end early');
  }
}
