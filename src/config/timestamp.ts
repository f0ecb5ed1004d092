/**
 * Timestamp literals in expressions and queries: ISO 8601 or Postgres text to epoch seconds. It reads exactly the texts
 * that a timestamp column of a CSV file may hold, epoch seconds apart.
 */

const calendar =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

/** Seconds since 1970-01-01T00:00:00Z within uint32, fractions dropped; without a zone the text is UTC. Null if not a timestamp. */
export function epochSecondsOfText(text: string): number | null {
  const match = calendar.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 59) return null;
  const date = new Date(0);
  // Unlike Date.UTC, it takes the years 0 to 99 as they are.
  date.setUTCFullYear(year, month - 1, day);
  // Date rolls 31 February over to March instead of refusing it.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const zoneSeconds = zoneSecondsOfText(match[7]);
  if (zoneSeconds === null) return null;
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - zoneSeconds;
  return seconds >= 0 && seconds <= 0xffffffff ? seconds : null;
}

function zoneSecondsOfText(zone: string | undefined): number | null {
  if (zone === undefined || zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) return null;
  return (zone[0] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}
