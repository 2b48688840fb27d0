/**
 * What every evidence provider promises; runs over the registry, each provider against a machine that the test made.
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
import { hasCode, VeilError } from '../../core/errors.ts';
import { thisGuest, type Guest } from '../../enclave-worker/evidence/guest.ts';
import { assertOwnQuote } from '../../enclave-worker/evidence/own-quote.ts';
import type { EvidenceProvider } from '../../enclave-worker/evidence/provider.ts';
import {
  EVIDENCE_CONFIG,
  PROVIDERS,
  type ProviderName,
} from '../../enclave-worker/evidence/providers.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { startFakeAgent } from '../support/dstack/fake-agent.ts';
import { fakeGuest } from '../support/tsm/fake-kernel.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-providers-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const agent = await startFakeAgent();
after(() => agent.close());

const REPORT_DATA = fixed(new Uint8Array(64).fill(0x5a), 64);
const SIGNAL = new AbortController().signal;

interface Stage {
  readonly title: string;
  /** What the worker's configuration says. */
  readonly config: object;
  readonly guest: Guest;
}

function tsmStage(provider: string): Stage {
  const { guest } = fakeGuest((kernel) => {
    kernel.provider = provider;
  });
  return { title: provider, config: { provider: 'configfs-tsm' }, guest };
}

/** A provider that is registered and has no stage does not compile. */
const STAGES: Readonly<Record<ProviderName, readonly Stage[]>> = {
  dstack: [
    {
      title: 'agent',
      config: { provider: 'dstack', socketPath: agent.socketPath },
      guest: thisGuest,
    },
  ],
  'configfs-tsm': [tsmStage('tdx_guest'), tsmStage('sev_guest')],
  simulator: [
    { title: 'TDX', config: { provider: 'simulator', pkiDir: folder }, guest: thisGuest },
  ],
  'simulator-snp': [
    { title: 'SNP', config: { provider: 'simulator-snp', pkiDir: folder }, guest: thisGuest },
  ],
};

for (const entry of PROVIDERS) {
  for (const stage of STAGES[entry.name]) {
    const open = (): Promise<EvidenceProvider> => entry.open(stage.config, stage.guest, SIGNAL);
    describe(`${entry.name}, ${stage.title}`, () => {
      test('keeps what the registry says about it', async () => {
        const provider = await open();
        assert.equal(provider.name, entry.name);
        assert.equal(provider.simulated, entry.simulated);
      });

      test('gives evidence of its kind, over exactly the report data asked for', async () => {
        const provider = await open();
        const collected = await provider.collect(REPORT_DATA);
        assert.equal(collected.tee, provider.tee);
        assertOwnQuote(provider.tee, collected.quote, REPORT_DATA);
      });

      test('brings endorsements when it simulates, and only then', async () => {
        const { endorsements } = await (await open()).collect(REPORT_DATA);
        assert.equal(endorsements !== undefined, entry.simulated);
      });

      test('answers many calls at once, each with its own', async () => {
        const provider = await open();
        const wanted = Array.from({ length: 16 }, (_, at) =>
          fixed(new Uint8Array(64).fill(at), 64),
        );
        const all = await Promise.all(wanted.map((data) => provider.collect(data)));
        wanted.forEach((data, at) =>
          assertOwnQuote(provider.tee, all[at]?.quote ?? new Uint8Array(), data),
        );
      });

      test('gives a fresh answer to the same question', async () => {
        const provider = await open();
        const [first, second] = [
          await provider.collect(REPORT_DATA),
          await provider.collect(REPORT_DATA),
        ];
        assert.notEqual(first.quote.buffer, second.quote.buffer);
      });

      test('refuses what its configuration does not know', async () => {
        await assert.rejects(
          entry.open({ ...stage.config, surprise: true }, stage.guest, SIGNAL),
          (error) => hasCode(error, 'config.invalid'),
        );
        assert.equal(EVIDENCE_CONFIG.safeParse({ ...stage.config, surprise: true }).success, false);
        assert.equal(EVIDENCE_CONFIG.safeParse(stage.config).success, true);
      });

      if (!entry.simulated) {
        test('is let go by an abort, with an error of ours', async () => {
          const provider = await open();
          await assert.rejects(
            provider.collect(REPORT_DATA, AbortSignal.abort()),
            (error) => error instanceof VeilError && error.code === 'evidence.aborted',
          );
        });
      }
    });
  }
}

test('the simulator passes the production verifier under its own root', async () => {
  const simulator = await createSimulator({ pkiDir: folder });
  const { quote, endorsements } = await simulator.collect(REPORT_DATA);
  const result = verifyTdx({
    quote,
    collateral: endorsements,
    nowMs: systemClock(),
    policy: baselineTdxPolicy({
      reportData: { equals: REPORT_DATA },
      measurements: { unchecked: 'the contract fixes no image' },
    }),
    roots: [{ sha256: simulator.rootSha256(), simulated: simulator.simulated }],
  });
  assert.equal(result.accepted, true);
  assert.equal(result.simulated, true);
  assert.equal(toHex(result.quote?.td.reportData ?? new Uint8Array()), toHex(REPORT_DATA));
});
