/**
 * The generator's random numbers: xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it), seeded through
 * splitmix32. Only integer operations and IEEE multiplications, so a seed gives the same sequence on every machine.
 */

export class Random {
  readonly #state = new Uint32Array(4);

  /** `stream` separates sequences of one seed, so that a table can be written again without the others. */
  constructor(seed: number, stream: number) {
    let mixed = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
    for (let word = 0; word < 4; word++) {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let value = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      value = Math.imul(value ^ (value >>> 15), 0x735a2d97);
      this.#state[word] = value ^ (value >>> 15);
    }
  }

  /** 32 random bits as an unsigned integer. */
  next(): number {
    const state = this.#state;
    const second = state[1];
    const scaled = Math.imul(second, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0;
    const third = state[2] ^ state[0];
    const fourth = state[3] ^ second;
    state[1] = second ^ third;
    state[0] = state[0] ^ fourth;
    state[2] = third ^ (second << 9);
    state[3] = (fourth << 11) | (fourth >>> 21);
    return result;
  }

  /** In [0, 1), a multiple of 2^-32. */
  fraction(): number {
    return this.next() * 2.3283064365386963e-10;
  }

  /** An integer in [0, bound), bound at most 2^32. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** An integer in [0, bound), small ones far more often: the share of values below x is the cube root of x / bound. */
  skewedBelow(bound: number): number {
    const fraction = this.fraction();
    return Math.floor(fraction * fraction * fraction * bound);
  }
}
