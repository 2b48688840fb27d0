/** A gateway in a simulated SEV-SNP machine is judged by the same rules, and admitted by the development policy. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { systemClock } from '../../../core/clock.ts';
import { utf8 } from '../../../core/bytes.ts';
import { appraiseGateway } from '../../../attestation/gateway/appraise-gateway.ts';
import {
  decodeGatewayEvidence,
  encodeGatewayEvidence,
  gatewayEvidence,
} from '../../../attestation/gateway/gateway-evidence.ts';
import {
  encodeGatewayStatement,
  gatewayAudOf,
  gatewayReportDataOf,
} from '../../../attestation/gateway/gateway-statement.ts';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../../attestation/policy/development.ts';
import { simulatedGatewayQuotes } from '../../../cli/attested/quotes.ts';
import { DEMO_GATEWAY_WORKLOAD } from '../../../enclave-worker/evidence/simulator/demo-image.ts';
import { createSnpSimulator } from '../../../enclave-worker/evidence/simulator/snp/simulator.ts';

test('evidence of an SNP machine comes back from its JSON and is admitted; a worker’s is not', async () => {
  const pkiDir = mkdtempSync(join(tmpdir(), 'veilgate-snp-'));
  try {
    const quotes = await simulatedGatewayQuotes('simulator-snp', pkiDir);
    const worker = await createSnpSimulator({ pkiDir });
    const nowMs = systemClock();
    const iat = Math.floor(nowMs / 1000);
    const identity = generateEd25519().publicKey;
    const statement = encodeGatewayStatement({
      hosts: ['localhost'],
      iat,
      exp: iat + 600,
      nonce: null,
      tee: 'snp',
      keys: { identity, tls: { spkiSha256: randomBytes(32) }, ledger: [] },
      workload: DEMO_GATEWAY_WORKLOAD,
    });
    const template = readFileSync('policies/development.yaml', 'utf8');
    const rootsSha256 = [worker.rootSha256()];
    const policy = compilePolicy(utf8(fillDevelopmentPolicy(template, { rootsSha256, nowMs })));
    const reportData = gatewayReportDataOf(statement);
    const failedOf = async (quoted: Awaited<ReturnType<typeof quotes.quote>>) => {
      const { quote, endorsements } = quoted;
      const made = gatewayEvidence({ tee: 'snp', statement, quote }, endorsements);
      const { verdict } = appraiseGateway({
        evidence: decodeGatewayEvidence(encodeGatewayEvidence(made ?? assert.fail())),
        policy,
        nowMs,
        aud: { equals: gatewayAudOf(identity) },
        host: { equals: 'localhost' },
        revocations: { waived: 'a test', by: 'test' },
      });
      return verdict.checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
    };
    const { signal } = new AbortController();
    assert.deepEqual(await failedOf(await quotes.quote(reportData, signal)), []);
    assert.deepEqual(await failedOf(await worker.collect(reportData)), ['cpu.measurements']);
  } finally {
    rmSync(pkiDir, { recursive: true });
  }
});
