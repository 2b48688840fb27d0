/**
 * One writer at a time for what lies in a folder. The lock names its process and when that began, so that one left
 * behind by a crash does not hold for ever, and a number that the system gave to somebody else meanwhile is not taken
 * for its holder. Between machines, or containers with process numbers of their own, that share a folder it proves
 * nothing: a writer has to notice strangers' writes by itself. Spec: proc(5), /proc/pid/stat.
 * @module
 */

import { linkSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { randomBytes } from '#primitives';
import { fromUtf8, toHex } from '../bytes.ts';
import { defineErrors, type VeilError } from '../errors.ts';
import { readPrivate, saveOnce, systemCodeOf } from './private-files.ts';

export const writerLockError = defineErrors({
  /** Another process is at work there. */
  'writer_lock.held': { status: 500, recovery: 'stop', public: 'Internal error.' },
});

const LOCK_MAX_BYTES = 256;
const NONCE_BYTES = 8;
const ATTEMPTS_MAX = 4;
const UNKNOWN = '-';
/** Process, when it began in ticks since the machine did, which start of the machine, and a number of its own. */
const FORM = /^([1-9]\d{0,9}) (\d{1,20}|-) ([0-9a-f-]{1,36}) ([0-9a-f]{16})$/;

/** Returns what gives it back. Throws `writer_lock.held`, `file.private`. */
export function takeWriterLock(path: string): () => void {
  const mine = [
    process.pid,
    stateOf(process.pid)?.startedAt ?? UNKNOWN,
    bootId(),
    toHex(randomBytes(NONCE_BYTES)),
  ].join(' ');
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    saveOnce(path, mine);
    const found = read(path);
    if (found === mine) return () => giveBack(path, mine);
    if (found === undefined) continue;
    if (isHeld(found)) throw held(path, found);
    clearAway(path, found);
  }
  throw held(path, read(path) ?? '');
}

function giveBack(path: string, mine: string): void {
  if (read(path) === mine) rmSync(path, { force: true });
}

function read(path: string): string | undefined {
  const bytes = readPrivate(path, { privacy: 'secret', maxBytes: LOCK_MAX_BYTES });
  return bytes === undefined ? undefined : fromUtf8(bytes);
}

function held(path: string, found: string): VeilError {
  const pid = FORM.exec(found)?.[1];
  return writerLockError(
    'writer_lock.held',
    pid === undefined
      ? `${path} is not one of ours; if nobody writes there, remove it`
      : `${path}: process ${pid} writes there`,
  );
}

/** What names no process is left alone: nobody knows whose it is. */
function isHeld(found: string): boolean {
  const match = FORM.exec(found);
  if (match === null) return true;
  const [, pid = '', startedAt, boot] = match;
  if (boot !== bootId()) return false;
  if (startedAt === UNKNOWN) return isAlive(Number(pid));
  const state = stateOf(Number(pid));
  return state !== undefined && state.isRunning && state.startedAt === startedAt;
}

/** Where there is no /proc. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) === 'EPERM';
  }
}

/** Two may find the same lock abandoned: the second must not take away the new lock of the first. */
function clearAway(path: string, abandoned: string): void {
  const aside = `${path}.${toHex(randomBytes(NONCE_BYTES))}`;
  try {
    renameSync(path, aside);
    if (read(aside) !== abandoned) linkSync(aside, path);
  } catch (error) {
    // Gone already, or a third one was quicker: the next look at the lock decides.
    if (!['ENOENT', 'EEXIST'].includes(systemCodeOf(error))) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Fields 3 and 22 of proc(5); the name before them, in brackets, may hold anything. */
function stateOf(
  pid: number,
): { readonly isRunning: boolean; readonly startedAt: string } | undefined {
  const text = readSystem(`/proc/${pid}/stat`);
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  const [state, startedAt] = [fields[0], fields[19]];
  if (state === undefined || startedAt === undefined) return undefined;
  return { isRunning: state !== 'Z' && state !== 'X', startedAt };
}

function bootId(): string {
  return readSystem('/proc/sys/kernel/random/boot_id')?.trim() ?? UNKNOWN;
}

function readSystem(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // another system, or a process that has ended
  }
}
