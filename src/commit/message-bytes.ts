/**
 * Fields of encoded requests and ranges. The reader takes bytes that may be anything; byte strings that it returns are
 * views of the message.
 */
import { ByteReader } from '../byte-reader.ts';
import { CommitError } from './commit-error.ts';

export class MessageWriter {
  readonly #bytes: Buffer;
  #at = 0;

  /** @param byteCount the most that will be written */
  constructor(byteCount: number) {
    this.#bytes = Buffer.allocUnsafeSlow(byteCount);
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** An integer up to 2^53 in 8 bytes. */
  long(value: number): void {
    this.#at = writeLong(this.#bytes, this.#at, value);
  }

  /** An unsigned 32-bit number in 1 to 5 bytes: seven bits a byte, low first. */
  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  counted(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

/** @returns the offset after it */
export function writeLong(target: Buffer, at: number, value: number): number {
  target.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  return target.writeUInt32BE(value % 2 ** 32, at + 4);
}

export class MessageReader extends ByteReader {
  long(what: string): number {
    if (this.bytesLeft < 8) throw this.endsEarly();
    const value = this.bytes.readUInt32BE(this.at) * 2 ** 32 + this.bytes.readUInt32BE(this.at + 4);
    if (!Number.isSafeInteger(value)) throw this.corrupt(`the ${what} is above 2^53`);
    this.at += 8;
    return value;
  }

  raw(byteCount: number): Uint8Array {
    if (byteCount > this.bytesLeft) throw this.endsEarly();
    return this.bytes.subarray(this.at, (this.at += byteCount));
  }

  counted(): Uint8Array {
    return this.raw(this.varint());
  }

  /** Goes back over what was just read. */
  back(byteCount: number): void {
    this.at -= byteCount;
  }

  end(): void {
    if (this.bytesLeft > 0) throw this.corrupt(`${this.bytesLeft} bytes follow the end`);
  }

  override corrupt(reason: string): CommitError {
    return new CommitError('COMMIT_REJECTED', `encoded request: ${reason}`, {
      at: { byteOffset: this.at },
      hint: 'run the same version on all nodes; if they do, what wrote it is broken',
    });
  }
}
