import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochSecondsOfText } from '../../src/config/timestamp.ts';
import { decodeText } from '../../src/csv/decode.ts';

describe('epochSecondsOfText', () => {
  it('reads ISO 8601 and Postgres text, UTC where no zone is given', () => {
    const noon = Date.UTC(2024, 1, 29, 12, 30, 5) / 1000;
    for (const text of [
      '2024-02-29T12:30:05Z',
      '2024-02-29 12:30:05',
      '2024-02-29 12:30:05.999',
      '2024-02-29 14:30:05+02',
      '2024-02-29T18:00:05+05:30',
      '2024-02-29 10:00:05-0230',
    ]) {
      expect([text, epochSecondsOfText(text)]).toEqual([text, noon]);
    }
    expect(epochSecondsOfText('2024-02-29T12:30')).toBe(noon - 5);
    expect(epochSecondsOfText('1970-01-01')).toBe(0);
    expect(epochSecondsOfText('2106-02-07T06:28:15Z')).toBe(0xffffffff);
  });

  it('refuses dates that do not exist or do not fit', () => {
    for (const text of [
      '2023-02-29',
      '2024-13-01',
      '2024-00-10',
      '2024-01-00',
      '2024-01-01T24:00',
      '2024-01-01T00:60',
      '2024-01-01T00:00:60',
      '2024-01-01T00:00+99',
      '1969-12-31T23:59:59Z',
      '2106-02-07T06:28:16Z',
      '0001-01-01',
      '0070-01-01',
      '2024-01-01 00:00 +00',
      '2024-1-1',
      '1700000000',
      'soon',
      '',
    ]) {
      expect([text, epochSecondsOfText(text)]).toEqual([text, null]);
    }
  });

  it('reads what a timestamp column reads', () => {
    const two = fc.integer({ min: 0, max: 99 }).map((number) => String(number).padStart(2, '0'));
    const near = fc.integer({ min: 0, max: 32 }).map((number) => String(number).padStart(2, '0'));
    const part = fc.oneof(near, two);
    const year = fc.constantFrom('1969', '1970', '2024', '2023', '2106', '2107', '0070', '202');
    const zone = fc.oneof(
      fc.constantFrom('', 'Z', ' +00', 'z', '+', '+2'),
      fc
        .tuple(fc.constantFrom('+', '-'), part, fc.constantFrom('', ':', ' '), part)
        .map((parts) => parts.join('')),
    );
    const time = fc
      .tuple(fc.constantFrom(' ', 'T', 't', '  '), part, part, part, fc.constantFrom('', '.5', '.'), zone)
      .map(
        ([between, hour, minute, second, fraction, east]) =>
          `${between}${hour}:${minute}:${second}${fraction}${east}`,
      );
    const text = fc
      .tuple(year, part, part, fc.oneof(fc.constant(''), time))
      .map(([y, m, d, rest]) => `${y}-${m}-${d}${rest}`);
    const property = fc.property(text, (value) => {
      const decoded = decodeText(value, false, 'timestamp', '');
      expect([value, epochSecondsOfText(value)]).toEqual([value, decoded.ok ? decoded.value : null]);
    });
    fc.assert(property, { numRuns: 2000 });
  });
});
