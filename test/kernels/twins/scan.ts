/** The scan kernel, a byte at a time. */
export interface ScanTwin {
  positions: number[];
  recordLines: number;
  allLines: number;
  irregular: boolean;
  endsInsideQuotes: boolean;
}

export function scanTwin(text: Uint8Array, delimiter: number, quote: number): ScanTwin {
  const twin: ScanTwin = {
    positions: [],
    recordLines: 0,
    allLines: 0,
    irregular: false,
    endsInsideQuotes: false,
  };
  let inside = false;
  const mayTouchQuote = (byte: number | undefined): boolean =>
    byte === undefined || byte === delimiter || byte === 10 || byte === quote;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === 10) twin.allLines++;
    if (text[i] === quote) {
      const cleanReturn = text[i + 1] === 13 && (text[i + 2] === 10 || i + 2 >= text.length);
      if (inside ? !mayTouchQuote(text[i + 1]) && !cleanReturn : !mayTouchQuote(text[i - 1]))
        twin.irregular = true;
      inside = !inside;
    } else if (!inside && (text[i] === delimiter || text[i] === 10)) {
      twin.positions.push(i);
      if (text[i] === 10) twin.recordLines++;
    }
  }
  twin.endsInsideQuotes = inside;
  return twin;
}
