/** One field as a decode kernel sees it: raw bytes in, value, null or flag out. */
import { decodeText } from '../../../src/csv/decode.ts';

export type FieldTwin = { flagged: true } | { flagged: false; value: number | boolean | string | null };

type Type = Parameters<typeof decodeText>[2];

export function fieldTwin(raw: string, type: Type, trimCarriageReturn: boolean, nullText: string): FieldTwin {
  const text = trimCarriageReturn && raw.endsWith('\r') ? raw.slice(0, -1) : raw;
  let inner = text;
  let quoted = false;
  // A null token that looks like a quoted field means null as it stands.
  if (text.startsWith('"') && text !== nullText) {
    if (text.length < 2 || !text.endsWith('"')) return { flagged: true };
    quoted = true;
    const doubled = text.slice(1, -1).replaceAll('""', '\0');
    if (doubled.includes('"')) return { flagged: true };
    inner = doubled.replaceAll('\0', '"');
  }
  const decoded = decodeText(inner, quoted, type, nullText);
  return decoded.ok ? { flagged: false, value: decoded.value } : { flagged: true };
}
