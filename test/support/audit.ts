/** Audit logs of tests, written by the gateway's own hand, and the three commands in this process. @module */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#primitives';
import { utf8, type Bytes } from '../../core/bytes.ts';
import {
  encodePolicyMemory,
  type PolicyMemory,
} from '../../attestation/publication/policy-memory.ts';
import type { AuditIo } from '../../cli/audit/io.ts';
import { openAudit, type Audit, type AuditOptions } from '../../gateway/audit.ts';
import { ManualTime } from './manual-time.ts';

export const AUDIT_START_MS = Date.parse('2026-06-15T12:00:00Z');

export function digestOf(what: string): Bytes<32> {
  return sha256(utf8(what));
}

export interface AuditFolder extends Disposable {
  readonly time: ManualTime;
  readonly path: (name: string) => string;
  /** Of the first file of the gateway with this data directory. */
  readonly logFile: (gateway: string) => string;
  readonly open: (gateway: string, options?: AuditOptions) => Audit;
  readonly write: (name: string, content: Uint8Array | string) => string;
  readonly memory: (name: string, accepted: PolicyMemory['accepted'], policy?: string) => string;
}

export function auditFolder(): AuditFolder {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-audit-'));
  const time = new ManualTime(AUDIT_START_MS);
  const path = (name: string): string => join(folder, name);
  const write = (name: string, content: Uint8Array | string): string => {
    writeFileSync(path(name), content);
    return path(name);
  };
  return {
    time,
    path,
    logFile: (gateway) => join(folder, gateway, 'audit', 'audit-000001.log'),
    open: (gateway, options = {}) =>
      openAudit(path(gateway), time.now, { pause: time.pause, ...options }),
    write,
    memory: (name, accepted, policy = 'production') =>
      write(
        name,
        encodePolicyMemory({ format: 'veilgate.policy-memory/1', policy, accepted: [...accepted] }),
      ),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export interface Said {
  readonly status: number;
  readonly output: readonly string[];
  readonly errors: readonly string[];
  readonly text: string;
}

export async function say(
  work: (io: AuditIo) => number | Promise<number>,
  io: Partial<AuditIo> = {},
): Promise<Said> {
  const output: string[] = [];
  const errors: string[] = [];
  const status = await work({
    page: { columns: 100, rows: 'whole' },
    output: (line) => output.push(line),
    error: (line) => errors.push(line),
    progress: () => undefined,
    enough: () => new AbortController().signal,
    ...io,
  });
  return { status, output, errors, text: output.join('\n') };
}
