/**
 * `veilgate attest` in this process: evidence of the test hierarchies as files in a folder of their own, and answers as
 * lines. Time stands at the evidence's instant.
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeEvidence, type EvidenceBundle } from '../../attestation/evidence.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import type { AttestIo } from '../../cli/attest/gather.ts';
import type { AttestCommand, AttestOptions } from '../../cli/attest/request.ts';
import { runAttest, type AttestAnswer } from '../../cli/attest/run.ts';
import { parseJson } from '../../core/json.ts';
import { utf8 } from '../../core/bytes.ts';
import { NOW_MS } from './tdx/pki.ts';

const PAGE = { columns: 100, rows: 'whole' } as const;

export function noFetch(): Promise<never> {
  return Promise.reject(new Error('nothing is fetched here'));
}

export async function* streamOf(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

export interface Answered extends AttestAnswer {
  /** Everything on standard output. */
  readonly text: string;
}

export async function attest(
  command: AttestCommand,
  input: string,
  options: AttestOptions = {},
  io: Partial<AttestIo> = {},
): Promise<Answered> {
  const answer = await runAttest(
    { command, input, options },
    { clock: () => NOW_MS, fetch: noFetch, stdin: streamOf(), ...io },
    PAGE,
  );
  return { ...answer, text: answer.output.join('\n') };
}

/** The one object on standard output. */
export function jsonOf({ output }: AttestAnswer): unknown {
  const [line = '', ...more] = output;
  if (more.length > 0) throw new Error('more than one line');
  return parseJson(utf8(line), 64 * 1024 * 1024);
}

export interface EvidenceFolder extends Disposable {
  readonly write: (name: string, content: Uint8Array | string) => string;
  readonly bundle: (name: string, bundle: EvidenceBundle) => string;
  readonly collateral: (name: string, collateral: TdxCollateral) => string;
}

export function evidenceFolder(): EvidenceFolder {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-attest-'));
  const write = (name: string, content: Uint8Array | string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  return {
    write,
    bundle: (name, bundle) => write(name, JSON.stringify(encodeEvidence(bundle))),
    collateral: (name, endorsements) => {
      const nothing = new Uint8Array();
      const bundle = { tee: 'tdx', statement: nothing, quote: nothing, card: nothing } as const;
      const { endorsements: json } = encodeEvidence({ ...bundle, endorsements });
      return write(name, JSON.stringify(json));
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
