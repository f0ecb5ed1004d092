/**
 * Tells whether the process that wrote an identity still runs. A process id alone is reused; with the start time of the
 * process and the boot id of the kernel it names one process for ever. Where the platform has no /proc, the process id
 * must do.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Clock ticks from boot to the start of the process; null where unknown. */
  readonly startTicks: string | null;
  readonly bootId: string | null;
  /** Process ids mean something only within their namespace. */
  readonly pidNamespace: string | null;
}

/** `unknown`: it belongs to another machine or container, from where it cannot be seen. */
export type Liveness = 'alive' | 'dead' | 'unknown';

export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    startTicks: statusOf('self')?.startTicks ?? null,
    bootId: bootId(),
    pidNamespace: pidNamespace(),
  };
}

export function livenessOf(identity: ProcessIdentity): Liveness {
  const own = ownIdentity();
  if (identity.bootId !== own.bootId) return identity.host === own.host ? 'dead' : 'unknown';
  if (identity.pidNamespace !== own.pidNamespace) return 'unknown';
  if (own.startTicks === null) return isRunning(identity.pid) ? 'alive' : 'dead';
  const status = statusOf(identity.pid);
  return status !== null && status.startTicks === identity.startTicks && !status.isEnded ? 'alive' : 'dead';
}

/** From /proc/<pid>/stat: fields 3 and 22, counted after the command name, which may hold spaces and parentheses. */
function statusOf(pid: number | 'self'): { startTicks: string; isEnded: boolean } | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { startTicks: fields[19], isEnded: fields[0] === 'Z' || fields[0] === 'X' };
}

function bootId(): string | null {
  return readOrNull('/proc/sys/kernel/random/boot_id')?.trim() ?? null;
}

function pidNamespace(): string | null {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return null;
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
