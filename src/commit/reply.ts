/**
 * The payload of a reply: one line for each request, `id:verdict:version`, the id in hex. Others may write to the
 * channel, so every field is checked. A reason does not fit: who needs it reads the outcome.
 */
import { bytesToHex } from './byte-order.ts';
import type { Outcome, Verdict } from './commit-storage.ts';

export interface Reply {
  /** The commit id in hex. */
  readonly key: string;
  readonly verdict: Verdict;
  readonly version: number;
}

/** Of what Postgres takes as a notification (8,000 bytes), with room to spare. */
const REPLY_PAYLOAD_BYTES_MAX = 7800;
const REPLY = /^([0-9a-f]{32}):(committed|conflict|too_old|expired|withdrawn|rejected):(\d{1,16})$/;

export function formatReply(outcome: Outcome): string {
  return `${bytesToHex(outcome.id)}:${outcome.verdict}:${outcome.version}`;
}

/** Undefined for a line that is no reply. */
export function parseReply(line: string): Reply | undefined {
  const [, key, verdict, digits] = REPLY.exec(line) ?? [];
  const version = Number(digits);
  if (key === undefined || !Number.isSafeInteger(version)) return undefined;
  return { key, verdict: verdict as Verdict, version };
}

/** Joins lines into as few payloads as hold them. */
export function packReplies(lines: readonly string[]): string[] {
  const payloads: string[] = [];
  let payload = '';
  for (const line of lines) {
    if (payload.length + line.length >= REPLY_PAYLOAD_BYTES_MAX) {
      payloads.push(payload);
      payload = '';
    }
    payload = payload === '' ? line : `${payload}\n${line}`;
  }
  if (payload !== '') payloads.push(payload);
  return payloads;
}
