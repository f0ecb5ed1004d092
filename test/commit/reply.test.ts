/** Replies as text: what is written is read again, and nothing else is. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesToHex } from '../../src/commit/byte-order.ts';
import type { Verdict } from '../../src/commit/commit-storage.ts';
import { formatReply, packReplies, parseReply } from '../../src/commit/reply.ts';

const outcome = fc.record({
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  verdict: fc.constantFrom<Verdict>('committed', 'conflict', 'too_old', 'expired', 'withdrawn', 'rejected'),
  version: fc.maxSafeNat(),
});

test('a reply is read as it was written', () => {
  fc.assert(
    fc.property(outcome, (reply) => {
      const { verdict, version } = reply;
      expect(parseReply(formatReply(reply))).toEqual({ key: bytesToHex(reply.id), verdict, version });
    }),
  );
});

test('a reply with a part missing, or more of it, is none', () => {
  fc.assert(
    fc.property(outcome, fc.nat(), fc.constantFrom(':', ' ', 'x', '\u0660'), (reply, at, extra) => {
      const line = formatReply(reply);
      const idAndVerdict = line.lastIndexOf(':') + 1;
      expect(parseReply(line.slice(0, at % idAndVerdict))).toBeUndefined();
      expect(parseReply(line + extra)).toBeUndefined();
      expect(parseReply(extra + line)).toBeUndefined();
    }),
  );
  const id = '0'.repeat(32);
  for (const version of ['9007199254740992', '1e3', '-1', '', '0x1', '1.5']) {
    expect(parseReply(`${id}:committed:${version}`)).toBeUndefined();
  }
});

test('payloads hold all lines in order and fit a notification', () => {
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 400, minLength: 200 }), (replies) => {
      const lines = replies.map(formatReply);
      const payloads = packReplies(lines);
      expect(payloads.flatMap((payload) => payload.split('\n'))).toEqual(lines);
      expect(Math.max(...payloads.map(({ length }) => length))).toBeLessThan(8000);
      expect(payloads.length).toBeLessThan(lines.join('\n').length / 7000 + 1);
    }),
    { numRuns: 20 },
  );
  expect(packReplies([])).toEqual([]);
});
