/** What a new epoch makes of the evidence that was collected for it. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '#primitives';
import { parseCard } from '../../attestation/card.ts';
import type { EndorsableEvidence, Endorser } from '../../attestation/collateral/endorser.ts';
import { ehbpKidOf, parseStatement, reportDataOf } from '../../attestation/statement.ts';
import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import { toHex, utf8 } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { DEMO_WORKLOAD } from '../../enclave-worker/demo-model/demo-model.ts';
import type {
  CollectedEvidence,
  EvidenceProvider,
} from '../../enclave-worker/evidence/provider.ts';
import {
  createSimulator,
  type Simulator,
} from '../../enclave-worker/evidence/simulator/simulator.ts';
import {
  Epochs,
  makeEpoch,
  makeLinkKey,
  type Epoch,
  type EpochInput,
} from '../../enclave-worker/keys.ts';
import { workerSetup } from './worker-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-keys-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const NOW_MS = Date.UTC(2026, 5, 15);
const SIGNAL = new AbortController().signal;
let simulator: Simulator;
let common: Omit<EpochInput, 'provider'>;

before(async () => {
  simulator = await createSimulator({ pkiDir: join(folder, 'pki'), now: () => NOW_MS });
  const { cardBytes, dir } = await workerSetup();
  after(() => rmSync(dir, { recursive: true, force: true }));
  common = {
    kem: 'X25519',
    lifetimeS: 600,
    nowMs: NOW_MS,
    aud: 'gw1.test',
    challenge: sha256(utf8('challenge')),
    workload: DEMO_WORKLOAD,
    card: parseCard(cardBytes),
    cardBytes,
    linkKey: await makeLinkKey(NOW_MS),
  };
});

/** The simulator with what it collected changed on the way. */
function changed(
  change: (collected: CollectedEvidence) => CollectedEvidence,
  tee: EvidenceProvider['tee'] = 'tdx',
): EvidenceProvider {
  return {
    name: 'changed',
    tee,
    simulated: true,
    collect: async (reportData) => change(await simulator.collect(reportData)),
  };
}

function bare({ endorsements: _dropped, ...rest }: CollectedEvidence): CollectedEvidence {
  return rest;
}

function epochWith(provider: EvidenceProvider, endorser?: Endorser): Promise<Epoch> {
  return makeEpoch(
    { ...common, provider, ...(endorser === undefined ? {} : { endorser }) },
    SIGNAL,
  );
}

function withCode(code: string): (error: unknown) => boolean {
  return (error) => hasCode(error, code);
}

test('the quote is over the statement, and the statement names the kind of machine', async () => {
  const { evidence } = await epochWith(simulator);
  const { td } = parseTdxQuote(evidence.quote);
  assert.equal(toHex(td.reportData), toHex(reportDataOf(evidence.statement)));
  assert.equal(parseStatement(evidence.statement).tee, 'tdx');
});

test('endorsements that the provider brings are used, and nobody is asked for others', async () => {
  const endorser: Endorser = { endorse: () => Promise.reject(new Error('asked')) };
  const { evidence } = await epochWith(simulator, endorser);
  assert.ok('tcbInfo' in evidence.endorsements && evidence.endorsements.tcbInfo.length > 0);
});

test('where the provider brings none, the endorser is asked about this very evidence', async () => {
  const asked: EndorsableEvidence[] = [];
  const endorser: Endorser = {
    endorse: async (evidence, signal) => {
      asked.push(evidence);
      assert.equal(signal, SIGNAL);
      const { endorsements } = await simulator.collect(reportDataOf(utf8('any')));
      return endorsements;
    },
  };
  const certificates = utf8('table');
  const { evidence } = await epochWith(
    changed((collected) => ({ ...bare(collected), certificates })),
    endorser,
  );
  assert.deepEqual(asked, [{ tee: 'tdx', quote: evidence.quote, certificates }]);
});

test('without an endorser a real machine has no bundle', async () => {
  await assert.rejects(epochWith(changed(bare)), withCode('evidence.endorsements'));
});

test('endorsements of another kind of machine are refused', async () => {
  await assert.rejects(
    epochWith(changed((collected) => ({ ...collected, endorsements: {} }))),
    withCode('evidence.endorsements'),
  );
});

test('what the endorser throws is passed on', async () => {
  const endorser: Endorser = { endorse: () => Promise.reject(new Error('the vendor is away')) };
  await assert.rejects(epochWith(changed(bare), endorser), /the vendor is away/);
});

test('SNP evidence has no bundle yet', async () => {
  await assert.rejects(
    epochWith(changed((collected) => ({ ...collected, tee: 'snp' }), 'snp')),
    withCode('evidence.endorsements'),
  );
});

test('a provider that delivers another kind of evidence than it said is a bug', async () => {
  await assert.rejects(
    epochWith(changed((collected) => ({ ...collected, tee: 'snp' }))),
    withCode('internal.invariant'),
  );
});

test('a key for EHBP is made where it is offered, of its own, and named in the statement', async () => {
  const { ehbp: none, evidence: plain } = await epochWith(simulator);
  assert.equal(none, undefined);
  assert.equal(parseStatement(plain.statement).keys.ehbp, undefined);
  const offered = { ...common, provider: simulator, ehbp: 'offer' } as const;
  const { ehbp, recipient, evidence, statementHash } = await makeEpoch(offered, SIGNAL);
  const { keys } = parseStatement(evidence.statement);
  assert.ok(ehbp !== undefined && keys.ehbp !== undefined);
  assert.equal(toHex(keys.ehbp.pk), toHex(ehbp.pair.publicKey));
  assert.notEqual(toHex(ehbp.pair.publicKey), toHex(recipient.publicKey));
  assert.equal(toHex(ehbp.kid), toHex(ehbpKidOf(statementHash, keys.ehbp.pk)));
});

test('it opens while its epoch does: gone when that is withdrawn, or over', async () => {
  const offered = { ...common, provider: simulator, ehbp: 'offer' } as const;
  const [first, second] = [await makeEpoch(offered, SIGNAL), await makeEpoch(offered, SIGNAL)];
  const epochs = new Epochs();
  const isOpen = ({ ehbp }: Epoch, nowMs: number): boolean =>
    ehbp !== undefined && epochs.ehbp.get(ehbp.kid, nowMs) !== undefined;
  epochs.open(first);
  epochs.open(second);
  assert.deepEqual([isOpen(first, NOW_MS), isOpen(second, NOW_MS)], [true, true]);
  epochs.withdraw(first);
  assert.deepEqual([isOpen(first, NOW_MS), isOpen(second, NOW_MS)], [false, true]);
  const { expiresAtMs } = second;
  assert.equal(isOpen(second, expiresAtMs), false);
  assert.equal(isOpen(second, expiresAtMs - 1), true);
  epochs.purge(expiresAtMs);
  assert.equal(isOpen(second, expiresAtMs - 1), false);
});
