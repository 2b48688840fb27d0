/** What `veilgate attest` does about collateral that evidence came without: asks, completes, and says so. @module */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { readFileSync, existsSync } from 'node:fs';
import { createAmdAuthority } from '../../attestation/collateral/amd-judge.ts';
import type { EndorsableEvidence } from '../../attestation/collateral/endorser.ts';
import { collateralError } from '../../attestation/collateral/errors.ts';
import { createIntelAuthority } from '../../attestation/collateral/intel-judge.ts';
import { parseCertificate } from '../../attestation/pki/certificate.ts';
import type { SnpEndorsements } from '../../attestation/snp/endorsements.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import {
  openCollateralSource,
  type CollateralSource,
  type SourceOptions,
} from '../../cli/attest/collateral-source.ts';
import { completed } from '../../cli/attest/complete.ts';
import { judge } from '../../cli/attest/judge.ts';
import { recognise } from '../../cli/attest/recognise.ts';
import type { Subject } from '../../cli/attest/subject.ts';
import { parseCollateralFile } from '../../cli/collateral-file.ts';
import { parseInstant } from '../../core/clock.ts';
import { hasCode } from '../../core/errors.ts';
import { attest, evidenceFolder, type EvidenceFolder } from '../support/attest.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki, NOW_MS } from '../support/snp/pki.ts';
import { createLab } from '../support/vendors/lab.ts';

let folder: EvidenceFolder;
before(() => {
  folder = evidenceFolder();
});
after(() => folder[Symbol.dispose]());

interface FakeSource {
  readonly asked: EndorsableEvidence[];
  readonly opened: SourceOptions[];
  closed: number;
  readonly open: (options: SourceOptions) => Promise<CollateralSource>;
}

function sourceWith(answer: () => TdxCollateral | SnpEndorsements): FakeSource {
  const fake: FakeSource = {
    asked: [],
    opened: [],
    closed: 0,
    open: (options) => {
      fake.opened.push(options);
      return Promise.resolve({
        name: 'a fake vendor',
        notes: [],
        endorse: (evidence) => {
          fake.asked.push(evidence);
          return new Promise((resolve) => resolve(answer()));
        },
        close: () => {
          fake.closed++;
          return Promise.resolve();
        },
      });
    },
  };
  return fake;
}

function subjectOf(bytes: Uint8Array): Subject {
  return recognise('evidence', bytes).subjects[0] ?? assert.fail();
}

suite('completing', () => {
  test('a quote without collateral is judged with what the source has', async () => {
    const { sound, pki } = await createLab();
    const source = await sourceWith(() => sound.collateral).open({ clock: () => NOW_MS });
    const question = { nowMs: NOW_MS, root: parseCertificate(pki.sound.root.der) };
    const subject = subjectOf(sound.quote);
    assert.equal(judge(subject, question).outcome, 'undecided');
    const done = await completed(subject, source);
    assert.equal(judge(done, question).outcome, 'accepted');
    assert.deepEqual(done.notes, ['What was missing came from a fake vendor.']);
  });

  test('what the evidence brought stays, even where the source knows better', async () => {
    const { sound, pki } = await createLab();
    const source = await sourceWith(() => sound.collateral).open({ clock: () => NOW_MS });
    const subject = subjectOf(sound.quote);
    assert.ok(subject.machine.tee === 'tdx');
    const collateral = { ...subject.machine.collateral, pckCrl: Uint8Array.of(0x30) };
    const given = { ...subject, machine: { ...subject.machine, collateral } };
    const question = { nowMs: NOW_MS, root: parseCertificate(pki.sound.root.der) };
    const { checks } = judge(await completed(given, source), question);
    assert.equal(checks.find(({ id }) => id === 'pckCrl.format')?.outcome, 'fail');
  });

  test('a source gets the report inside a blob, the host’s table and what came along', async () => {
    const pki = await createSnpTestPki();
    const { evidence } = await buildSnpCase(pki, { hcl: {} });
    const fake = sourceWith(() => evidence.endorsements);
    await completed(subjectOf(evidence.bytes), await fake.open({ clock: () => NOW_MS }));
    assert.deepEqual([fake.asked[0]?.tee, fake.asked[0]?.quote.length], ['snp', 1184]);
  });

  test('a source that has no answer is a note, and what is missing stays missing', async () => {
    const { sound } = await createLab();
    const fake = sourceWith(() => {
      throw collateralError('collateral.unavailable', 'asleep');
    });
    const subject = subjectOf(sound.quote);
    const done = await completed(subject, await fake.open({ clock: () => NOW_MS }));
    assert.deepEqual(done.machine, subject.machine);
    assert.match(done.notes.join(), /a fake vendor: collateral\.unavailable: asleep/);
  });
});

suite('the command', () => {
  const report = async () => {
    const { evidence } = await buildSnpCase(await createSnpTestPki());
    return { input: folder.write('report.bin', evidence.bytes), evidence };
  };

  test('asks once for what is missing, judges again, and closes what it opened', async () => {
    const { input, evidence } = await report();
    const fake = sourceWith(() => evidence.endorsements);
    const { status, text } = await attest('verify', input, {}, { openSource: fake.open });
    // Complete, and under a root that nobody named.
    assert.equal(status, 1);
    assert.match(text, /fail {3}chain\.root/);
    assert.match(text, /What was missing came from a fake vendor/);
    assert.deepEqual([fake.asked.length, fake.closed], [1, 1]);
  });

  test('asks nobody when nothing is missing, or when something speaks against the evidence', async () => {
    const { input, evidence } = await report();
    const { vek, crl } = evidence.endorsements;
    const files = {
      vek: folder.write('vek.der', vek ?? assert.fail()),
      crl: folder.write('crl.der', crl ?? assert.fail()),
    };
    const { bytes } = (
      await buildSnpCase(await createSnpTestPki(), { report: { fields: { policy: 0xb_0137n } } })
    ).evidence;
    const fake = sourceWith(() => evidence.endorsements);
    await attest('verify', input, files, { openSource: fake.open });
    await attest('verify', folder.write('debug.bin', bytes), {}, { openSource: fake.open });
    assert.deepEqual(fake.opened, []);
    // Who wants to know what is wrong wants to know all of it.
    await attest('explain', folder.write('debug.bin', bytes), {}, { openSource: fake.open });
    assert.equal(fake.asked.length, 1);
  });

  test('asks no vendor about a development root', async () => {
    const { sound, pki } = await createLab();
    const fake = sourceWith(() => sound.collateral);
    const root = folder.write('root.der', pki.sound.root.der);
    const input = folder.write('quote.bin', sound.quote);
    const { status } = await attest('verify', input, { root }, { openSource: fake.open });
    assert.equal(status, 3);
    assert.deepEqual(fake.opened, []);
  });

  test('hands on --offline, and a clock that stands where the evidence is judged', async () => {
    const { input, evidence } = await report();
    const fake = sourceWith(() => evidence.endorsements);
    const at = NOW_MS - 3_600_000;
    await attest('verify', input, { offline: 'bundle.json', at }, { openSource: fake.open });
    assert.equal(fake.opened[0]?.offline, 'bundle.json');
    assert.equal(fake.opened[0]?.clock(), at);
  });
});

suite('the collateral source', () => {
  const clock = () => NOW_MS;

  test('completes from a bundle, without a network', async () => {
    const lab = await createLab();
    const store = await lab.open({ forgetful: true });
    await store.tdx({ fmspc: 'c0ffee000000', ca: 'platform' }, lab.signal);
    const offline = folder.write('bundle.json', await store.exportBundle());
    const roots = {
      intel: createIntelAuthority(lab.pki.sound.root.der),
      amd: createAmdAuthority(),
    };
    const source = await openCollateralSource({ offline, clock, roots });
    const done = await completed(subjectOf(lab.sound.quote), source);
    const question = { nowMs: NOW_MS, root: parseCertificate(lab.pki.sound.root.der) };
    assert.equal(judge(done, question).outcome, 'accepted', done.notes.join());
    assert.match(done.notes.join(), /came from the collateral bundle/);
    await source.close();
  });

  test('believes no bundle that is not under the vendors’ roots, and says which entries', async () => {
    const lab = await createLab();
    const store = await lab.open({ forgetful: true });
    await store.tdx({ fmspc: 'c0ffee000000', ca: 'platform' }, lab.signal);
    const offline = folder.write('bundle.json', await store.exportBundle());
    const { notes, close } = await openCollateralSource({ offline, clock });
    assert.equal(notes.length, 4);
    assert.match(notes.join('\n'), /sgx\.root-crl of the collateral bundle was refused/);
    await close();
  });

  test('refuses a bundle that is none', async () => {
    const open = (offline: string) => openCollateralSource({ offline, clock });
    await assert.rejects(open('/nowhere'), (error) => hasCode(error, 'cli.file'));
    const junk = folder.write('junk.json', '{}');
    await assert.rejects(open(junk), (error) => hasCode(error, 'collateral.bundle'));
  });

  test('with --offline and no bundle has nothing, and asks nobody', async () => {
    const { evidence } = await buildSnpCase(await createSnpTestPki());
    const input = folder.write('report.bin', evidence.bytes);
    const openSource = openCollateralSource;
    const { status, text } = await attest('verify', input, { offline: true }, { openSource });
    assert.equal(status, 3);
    assert.match(text, /asked of nobody \(--offline\): collateral\.offline/);
  });
});

const TDX = '../shared/vectors/tdx';
test(
  'a real quote without collateral is accepted with that of a source',
  { skip: existsSync(TDX) ? false : 'the vector corpus is not here' },
  async () => {
    const file = new Uint8Array(readFileSync(`${TDX}/collateral/real-r01.json`));
    const fake = sourceWith(() => parseCollateralFile(file));
    const at = parseInstant('2025-06-25T00:00:00Z') ?? assert.fail();
    const input = `${TDX}/quotes/real-r01.bin`;
    const { status, text } = await attest('verify', input, { at }, { openSource: fake.open });
    assert.equal(status, 0, text);
    assert.match(text, /What was missing came from a fake vendor/);
  },
);
