/** Figures as the tables of a report show them. */
import type { Ratio, Summary } from './measure.ts';

export function timings({ median, min, max }: Summary): string[] {
  return [formatMs(median), `${formatMs(min)}..${formatMs(max)}`];
}

export function formatMs(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(1) : ms.toFixed(3);
}

export function formatMillions(perSecond: number): string {
  return (perSecond / 1e6).toFixed(2);
}

export function formatRatio({ ofMedians, min, max }: Ratio): string {
  return `${formatTimes(ofMedians)} (${min.toFixed(1)}..${max.toFixed(1)})`;
}

export function formatTimes(ratio: number): string {
  return `${ratio.toFixed(1)}×`;
}
