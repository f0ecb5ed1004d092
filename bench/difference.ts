/** The error of a run in which two sides that must agree do not: figures of wrong answers are worth nothing. */
import { BitloomError } from '../src/errors.ts';

export function assertAgree(what: string, actual: unknown, expected: unknown): void {
  const [given, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (given === wanted) return;
  throw new BitloomError('BENCH_DIFFERENCE', `${what}: the index has ${given}, expected is ${wanted}`, {
    hint: 'run bitloom validate, which finds the first value and slot that differ',
  });
}
