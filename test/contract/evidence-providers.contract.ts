/**
 * What every evidence provider promises; runs over the registry.
 * Spec: enclave-worker/evidence/provider.ts.
 * @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { baselineTdxPolicy } from '../../attestation/tdx/td-policy.ts';
import { verifyTdx } from '../../attestation/tdx/verify.ts';
import { fixed, toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { PROVIDERS } from '../../enclave-worker/evidence/providers.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-providers-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const REPORT_DATA = fixed(new Uint8Array(64).fill(0x5a), 64);

for (const entry of PROVIDERS) {
  describe(entry.name, () => {
    test('gives quotes over exactly the report data asked for', async () => {
      const provider = await entry.create({ pkiDir: folder });
      const { quote, endorsements } = await provider.collect(REPORT_DATA);
      const result = verifyTdx({
        quote,
        collateral: endorsements,
        nowMs: systemClock(),
        policy: baselineTdxPolicy({
          reportData: { equals: REPORT_DATA },
          measurements: { unchecked: 'the contract fixes no image' },
        }),
        roots: [{ sha256: provider.rootSha256(), simulated: provider.simulated }],
      });
      assert.equal(result.accepted, true);
      assert.equal(result.simulated, provider.simulated);
      assert.equal(toHex(result.quote?.td.reportData ?? new Uint8Array()), toHex(REPORT_DATA));
    });

    test('answers many calls at once', async () => {
      const provider = await entry.create({ pkiDir: folder });
      const quotes = await Promise.all(
        Array.from({ length: 16 }, (_, at) =>
          provider.collect(fixed(new Uint8Array(64).fill(at), 64)),
        ),
      );
      assert.equal(new Set(quotes.map(({ quote }) => toHex(quote))).size, quotes.length);
    });

    test('keeps its registered name', async () => {
      const provider = await entry.create({ pkiDir: folder });
      assert.equal(provider.name, entry.name);
      assert.equal(provider.simulated, entry.simulated);
    });
  });
}
