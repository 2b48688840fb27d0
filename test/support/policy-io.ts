/**
 * The world of `veilgate policy` commands that look at evidence: the test hierarchies' instant, no network, and a page as a
 * pipe has it.
 * @module
 */

import type { AttestIo } from '../../cli/attest/gather.ts';
import type { PolicyAnswer } from '../../cli/policy/answer.ts';
import { parseJson } from '../../core/json.ts';
import { utf8 } from '../../core/bytes.ts';
import { noFetch, streamOf } from './attest.ts';
import { NOW_MS } from './tdx/pki.ts';

export const PIPE = { columns: 100, rows: 'whole' } as const;
export const TERMINAL_80 = { columns: 80, rows: 'wrapped' } as const;

export function testIo(overrides: Partial<AttestIo> = {}): AttestIo {
  return { clock: () => NOW_MS, fetch: noFetch, stdin: streamOf(), ...overrides };
}

export function textOf({ output }: PolicyAnswer): string {
  return output.join('\n');
}

/** The one object on standard output. */
export function reportOf({ output }: PolicyAnswer): unknown {
  const [line = '', ...more] = output;
  if (more.length > 0) throw new Error('more than one line');
  return parseJson(utf8(line), 64 * 1024 * 1024);
}
