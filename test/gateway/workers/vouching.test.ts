/** Where a gateway's store of collateral is there and where not, and what of its news makes workers be looked at again. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { randomBytes } from '#primitives';
import { COLLATERAL_CONFIG } from '../../../attestation/collateral/config.ts';
import type { EndorsableEvidence } from '../../../attestation/collateral/endorser.ts';
import type { EvidenceBundle } from '../../../attestation/evidence.ts';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../../attestation/policy/development.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { utf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import { createLifecycle } from '../../../core/node/lifecycle.ts';
import { createLog } from '../../../core/node/log.ts';
import { GATEWAY_EVENTS } from '../../../gateway/events.ts';
import {
  newsOf,
  openVouching,
  vouchingBy,
  type Vouching,
} from '../../../gateway/workers/vouching.ts';

const log = createLog({
  events: GATEWAY_EVENTS,
  part: 'gateway',
  destination: { write: () => undefined },
});
const NOTHING = new Uint8Array(0);

async function opened(policy: string): Promise<Vouching | undefined> {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-vouching-'));
  const lifecycle = createLifecycle({ graceMs: 1000 });
  after(async () => {
    await lifecycle.close();
    rmSync(dataDir, { recursive: true });
  });
  return await openVouching({
    config: COLLATERAL_CONFIG.parse({ offline: true }),
    dataDir,
    isDevelopment: compilePolicy(utf8(policy)).document.development === true,
    clock: systemClock,
    log,
    lifecycle,
  });
}

test('under a policy for real machines nobody comes in without the store', async () => {
  const vouching = await opened(readFileSync('policies/production.yaml', 'utf8'));
  assert.ok(vouching !== undefined);
  const bundle = { tee: 'snp', statement: NOTHING, quote: NOTHING, card: NOTHING } as const;
  await assert.rejects(
    vouching.vouch({ ...bundle, endorsements: {} }, new AbortController().signal),
    (error) => hasCode(error, 'registration.collateral'),
  );
});

test('under a development policy there is no store: vendors know nothing of simulated machines', async () => {
  const template = readFileSync('policies/development.yaml', 'utf8');
  const filled = fillDevelopmentPolicy(template, {
    rootsSha256: [randomBytes(32)],
    nowMs: systemClock(),
  });
  assert.equal(await opened(filled), undefined);
});

test('a list or document that is new to the store is news, its troubles are not', () => {
  const { onEvent, revision } = newsOf(log);
  onEvent({ kind: 'storage_failed', code: 'blob.io' });
  onEvent({ kind: 'floors_lost' });
  assert.equal(revision(), 0);
  onEvent({ kind: 'replaced', key: 'sgx.root-crl', newlyRevoked: 0, isNewEvaluation: false });
  onEvent({ kind: 'replaced', key: 'sgx.root-crl', newlyRevoked: 1, isNewEvaluation: false });
  assert.equal(revision(), 2);
});

const TDX: TdxCollateral = {
  tcbInfo: NOTHING,
  tcbInfoIssuerChain: '',
  qeIdentity: NOTHING,
  qeIdentityIssuerChain: '',
  pckCrl: NOTHING,
  pckCrlIssuerChain: '',
  rootCaCrl: NOTHING,
};

test('endorsements of another kind of machine than the evidence are refused', async () => {
  const crossed = { endorse: async ({ tee }: EndorsableEvidence) => (tee === 'tdx' ? {} : TDX) };
  const { vouch } = vouchingBy(crossed, () => 0);
  const common = { statement: NOTHING, quote: NOTHING, card: NOTHING };
  const { signal } = new AbortController();
  const bundles: readonly EvidenceBundle[] = [
    { tee: 'snp', ...common, endorsements: {} },
    { tee: 'tdx', ...common, endorsements: TDX },
  ];
  for (const bundle of bundles) {
    await assert.rejects(vouch(bundle, signal), (error) =>
      hasCode(error, 'registration.collateral'),
    );
  }
});
