/**
 * A JSON body from its bytes. The nesting is bounded before anything recurses over it: copying a value to another thread
 * would exhaust the stack.
 */
import { isUtf8 } from 'node:buffer';
import { BitloomError } from '../errors.ts';
import { JSON_DEPTH_MAX } from '../limits.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Error REQUEST_INVALID: not UTF-8, not JSON, or nested too deep. */
export function parseJsonBody(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw invalid('the body is not UTF-8');
  if (nestingOf(bytes) > JSON_DEPTH_MAX) throw invalid(`the body is nested more than ${JSON_DEPTH_MAX} deep`);
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw invalid(`the body is not JSON: ${(cause as Error).message}`);
  }
}

/** Deepest nesting of brackets outside of strings; of well-formed JSON, its depth. */
function nestingOf(bytes: Uint8Array): number {
  let depth = 0;
  let depthMax = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) {
      for (i++; i < bytes.length && bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
    } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > depthMax) depthMax = depth;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
      depth--;
    }
  }
  return depthMax;
}

function invalid(reason: string): BitloomError {
  return new BitloomError('REQUEST_INVALID', reason, { hint: 'send one JSON value' });
}
