/**
 * Bytes written one after the other into a buffer that grows; the counterpart of `BatchReader`.
 */
export class ByteWriter {
  #bytes: Buffer;
  #at = 0;

  /** @param byteCount room at first */
  constructor(byteCount: number) {
    this.#bytes = Buffer.allocUnsafeSlow(byteCount);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  /** An unsigned 32-bit number: seven bits a byte, low first. */
  varint(value: number): void {
    this.#reserve(5);
    const bytes = this.#bytes;
    let at = this.#at;
    let rest = value;
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#at = at;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  /** Bytes of the text as UTF-8, and with `isCounted` before them their number. */
  text(text: string, isCounted = true): void {
    const byteCount = Buffer.byteLength(text);
    if (isCounted) this.varint(byteCount);
    this.#reserve(byteCount);
    this.#at += this.#bytes.write(text, this.#at);
  }

  /** A view of what was written; the writer is spent. */
  finish(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, 0, this.#at);
  }

  #reserve(byteCount: number): void {
    if (this.#at + byteCount <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#at + byteCount));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}
