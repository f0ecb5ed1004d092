/** Reads an encoded batch of ops, see op-codec.ts. Texts are checked to be UTF-8. */
import { isUtf8 } from 'node:buffer';
import { ByteReader } from '../byte-reader.ts';
import { BitloomError } from '../errors.ts';

export class BatchReader extends ByteReader {
  double(): number {
    if (this.bytesLeft < 8) throw this.endsEarly();
    this.at += 8;
    return this.bytes.readDoubleLE(this.at - 8);
  }

  text(byteCount: number): string {
    if (byteCount > this.bytesLeft) throw this.endsEarly();
    const start = this.at;
    this.at += byteCount;
    if (!isUtf8(this.bytes.subarray(start, this.at))) throw this.corrupt('a text is not valid UTF-8');
    return this.bytes.toString('utf8', start, this.at);
  }

  /** Texts one after the other, each of so many bytes. */
  texts(byteCounts: Uint32Array): string[] {
    const total = byteCounts.reduce((sum, byteCount) => sum + byteCount, 0);
    if (total > this.bytesLeft) throw this.endsEarly();
    const { bytes } = this;
    let start = this.at;
    if (!isUtf8(bytes.subarray(start, start + total))) throw this.corrupt('a text is not valid UTF-8');
    this.at += total;
    const texts: string[] = [];
    for (const byteCount of byteCounts) {
      // All together are valid, so each is unless it begins in the middle of a character.
      if (byteCount > 0 && (bytes[start] & 0xc0) === 0x80) throw this.corrupt('a text is not valid UTF-8');
      texts.push(bytes.toString('utf8', start, start + byteCount));
      start += byteCount;
    }
    return texts;
  }

  override corrupt(reason: string): BitloomError {
    return new BitloomError('BATCH_CORRUPT', `encoded batch: ${reason}`, { at: { byteOffset: this.at } });
  }
}
