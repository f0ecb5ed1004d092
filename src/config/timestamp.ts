/**
 * Timestamps as text: ISO 8601 or Postgres text to epoch seconds, for CSV columns, queries, ops and the literals of
 * expressions alike.
 */

const calendar =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

const uint32Max = 0xffff_ffff;

/** Seconds since 1970-01-01T00:00:00Z within uint32. Null if not a timestamp or outside of that. */
export function epochSecondsOfText(text: string): number | null {
  const seconds = calendarSecondsOfText(text);
  return seconds !== null && seconds >= 0 && seconds <= uint32Max ? seconds : null;
}

/** The same without a bound: negative before 1970. Fractions are dropped; without a zone the text is UTC. */
export function calendarSecondsOfText(text: string): number | null {
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
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + second - zoneSeconds;
}

function zoneSecondsOfText(zone: string | undefined): number | null {
  if (zone === undefined || zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) return null;
  return (zone[0] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}
