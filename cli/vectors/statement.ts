/**
 * Statement cases: bytes that a quote's report data must cover, judged with what the verifier expects.
 * Spec: nvidia vector corpus, kind `statement`.
 * @module
 */

import { z } from 'zod';
import { verifyStatement, type StatementCheckId } from '../../attestation/statement-checks.ts';
import {
  deviceDigestOf,
  gpuNonceOf,
  keysDigest,
  reportDataOf,
} from '../../attestation/statement.ts';
import { fixed, fromHex, toHex } from '../../core/bytes.ts';
import { parseInstant } from '../../core/clock.ts';
import type { ReadCaseFile, VectorKind, VectorOutcome } from './kind.ts';
import { vectorsError } from './manifest.ts';

const FILE = z.object({ path: z.string() });
const CASE = z.object({
  at: z.string(),
  input: z.object({
    nonce: z.string(),
    aud: z.string(),
    tee: z.enum(['tdx', 'snp']),
    reportData: z.string(),
    requireDevices: z.boolean().optional(),
  }),
  files: z.object({ 'statement.json': FILE, 'devices.bin': FILE.optional() }),
});

/** The corpus's names for our checks. */
const REASONS: Readonly<Record<StatementCheckId, string>> = {
  'statement.json': 'STATEMENT_MALFORMED',
  'statement.format': 'STATEMENT_FORMAT',
  'statement.schema': 'STATEMENT_SCHEMA',
  'statement.reportData': 'REPORT_DATA_MISMATCH',
  'statement.tee': 'TEE_MISMATCH',
  'statement.aud': 'AUDIENCE_MISMATCH',
  'statement.nonce': 'NONCE_MISMATCH',
  'statement.notYetValid': 'STATEMENT_NOT_YET_VALID',
  'statement.expired': 'STATEMENT_EXPIRED',
  'statement.lifetime': 'STATEMENT_LIFETIME',
  'devices.present': 'DEVICE_MISSING',
  'devices.digest': 'DEVICE_DIGEST_MISMATCH',
  'devices.nonce': 'NONCE_MISMATCH',
};
const REASON_OF: ReadonlyMap<string, string> = new Map(Object.entries(REASONS));

export function runStatementCase(entry: unknown, readFile: ReadCaseFile): VectorOutcome {
  const { at, input, files } = CASE.parse(entry);
  const nowMs = parseInstant(at);
  if (nowMs === undefined) throw vectorsError('vectors.case', 'at is not an instant');
  const bytes = readFile(files['statement.json'].path);
  const devicesFile = files['devices.bin'];
  const devices = devicesFile === undefined ? undefined : readFile(devicesFile.path);
  const result = verifyStatement({
    bytes,
    reportData: fromHex(input.reportData),
    ...(devices === undefined ? {} : { devices }),
    expected: {
      aud: input.aud,
      tee: input.tee,
      nonce: { equals: fixed(fromHex(input.nonce), 32, 'nonce') },
      devices: input.requireDevices === true ? 'required' : 'as-stated',
    },
    nowMs,
  });
  const failing = result.checks.filter((check) => check.outcome === 'fail');
  const admitted = result.checks.every(({ outcome }) => outcome === 'pass' || outcome === 'waived');
  const { statement } = result;
  return {
    verdict: admitted ? 'accept' : 'reject',
    failing: failing.map(({ id }) => REASON_OF.get(id) ?? id),
    warnings: [],
    authentic: null,
    tcb: null,
    fields: {
      reportData: toHex(reportDataOf(bytes)),
      ...(statement === undefined
        ? {}
        : {
            keysDigest: toHex(keysDigest(statement.keys)),
            gpuNonce: toHex(gpuNonceOf(statement)),
          }),
      ...(devices === undefined ? {} : { deviceDigest: toHex(deviceDigestOf(devices)) }),
    },
  };
}

export const statementVectors: VectorKind = { name: 'statement', run: runStatementCase };
