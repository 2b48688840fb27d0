/**
 * Real documents of Intel's and AMD's through the store's judges, under the vendors' own roots. The corpus lies beside the
 * project; without it these tests are skipped.
 * @module
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { createAmdAuthority } from '../../../attestation/collateral/amd-judge.ts';
import { CollateralStore } from '../../../attestation/collateral/collateral-store.ts';
import { createIntelAuthority } from '../../../attestation/collateral/intel-judge.ts';
import { listToDer } from '../../../attestation/collateral/text-forms.ts';
import { equalPublic, fromBase64, fromUtf8, utf8 } from '../../../core/bytes.ts';
import { parseInstant } from '../../../core/clock.ts';
import { parseJson } from '../../../core/json.ts';
import { ManualTime } from '../../support/manual-time.ts';

const FOLDER = '../shared/vectors';
const skip = existsSync(FOLDER) ? false : `${FOLDER} is not here`;
const JSON_MAX_BYTES = 64 * 1024 * 1024;
const { signal } = new AbortController();

function bytesOf(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${FOLDER}/${path}`));
}

function jsonOf(path: string): unknown {
  return parseJson(bytesOf(path), JSON_MAX_BYTES);
}

async function storeAt(time: string): Promise<CollateralStore> {
  const clock = new ManualTime(parseInstant(time) ?? 0);
  return await CollateralStore.open({
    ports: { now: clock.now, pause: clock.pause, random: () => 0 },
    intel: createIntelAuthority(),
    amd: createAmdAuthority(),
    sources: [],
    edition: 'standard',
    amdList: 'if-available',
    onEvent: () => undefined,
  });
}

const TDX_MANIFEST = z.object({
  cases: z.array(
    z.object({
      id: z.string(),
      kind: z.string(),
      quote: z.string(),
      collateral: z.string(),
      time: z.string(),
      expect: z.object({ authentic: z.boolean() }),
    }),
  ),
});
const TDX_COLLATERAL = z.object({
  tcbInfo: z.string().transform(utf8),
  qeIdentity: z.string().transform(utf8),
  tcbInfoIssuerChain: z.string(),
  qeIdentityIssuerChain: z.string(),
  pckCrlIssuerChain: z.string(),
  pckCrl: z.string().transform(fromBase64),
  rootCaCrl: z.string().transform(fromBase64),
});

test(
  "real quotes are endorsed by the real documents that came with them, and by nothing else's",
  { skip },
  async () => {
    const { cases } = TDX_MANIFEST.parse(jsonOf('tdx/manifest.json'));
    const real = cases.filter(({ kind, expect }) => kind === 'real' && expect.authentic);
    assert.ok(real.length >= 10, String(real.length));
    for (const { id, quote, collateral: path, time } of real) {
      const store = await storeAt(time);
      const endorsements = TDX_COLLATERAL.parse(jsonOf(`tdx/${path}`));
      const evidence = { tee: 'tdx', quote: bytesOf(`tdx/${quote}`), endorsements } as const;
      const found = await store.endorse(evidence, signal);
      assert.ok('tcbInfo' in found);
      for (const part of ['pckCrl', 'rootCaCrl'] as const) {
        assert.ok(equalPublic(found[part], endorsements[part]), `${id} ${part}`);
      }
      for (const part of ['tcbInfo', 'qeIdentity'] as const) {
        // One of the real bodies ends in a line break, which no signature covers.
        const text = fromUtf8(endorsements[part]).trimEnd();
        assert.ok(fromUtf8(found[part]) === text, `${id} ${part}`);
      }
    }
  },
);

const SNP_MANIFEST = z.object({
  cases: z.array(
    z.object({
      id: z.string(),
      tags: z.array(z.string()),
      evidence: z.object({ format: z.string(), file: z.string() }),
      endorsements: z.object({ vek: z.string().exactOptional() }).exactOptional(),
      verify_at: z.string(),
      expect: z.object({ verdict: z.string() }),
    }),
  ),
});

test(
  "real reports are endorsed by their real certificates, under AMD's roots, without a network",
  { skip },
  async () => {
    const { cases } = SNP_MANIFEST.parse(jsonOf('sev-snp/manifest.json'));
    const real = cases.filter(
      ({ tags, evidence, expect, endorsements }) =>
        tags.includes('real') &&
        evidence.format === 'report' &&
        expect.verdict === 'accept' &&
        endorsements?.vek !== undefined,
    );
    assert.ok(real.length >= 8, String(real.length));
    for (const { id, evidence, endorsements, verify_at: time } of real) {
      const store = await storeAt(time);
      const vek = bytesOf(`sev-snp/${endorsements?.vek ?? ''}`);
      const quote = bytesOf(`sev-snp/${evidence.file}`);
      const found = await store.endorse({ tee: 'snp', quote, endorsements: { vek } }, signal);
      assert.ok(!('tcbInfo' in found));
      assert.ok(found.vek !== undefined && equalPublic(found.vek, vek), id);
      assert.ok(found.intermediate !== undefined && found.root !== undefined, id);
    }
  },
);

for (const [product, time] of [
  ['milan', '2025-12-01T00:00:00Z'],
  ['genoa', '2025-06-01T00:00:00Z'],
] as const) {
  test(`AMD's real list of ${product} holds, and its number is read`, { skip }, () => {
    const body = listToDer('amd-crl', bytesOf(`sev-snp/crls/amd-${product}.crl.pem`));
    const { judge } = createAmdAuthority();
    const item = { kind: 'amd-crl', product, signer: 'vcek' } as const;
    const nowMs = parseInstant(time) ?? 0;
    const verified = judge(item, { body, chain: '' }, { nowMs, supports: [] });
    assert.equal(verified.rank.number, product === 'milan' ? 6n : 4n);
    assert.equal(verified.list?.revoked.size, product === 'milan' ? 0 : 1);
  });
}
