/**
 * The command against real evidence of the vector corpora beside the repository: what it says to people about quotes and
 * reports of Intel's and AMD's own. Skipped where the corpora are absent.
 * @module
 */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { suite, test } from 'node:test';
import type { AttestOptions } from '../../cli/attest/request.ts';
import { parseInstant } from '../../core/clock.ts';
import { attest, type Answered } from '../support/attest.ts';

const TDX = '../shared/vectors/tdx';
const SNP = '../shared/vectors/sev-snp';
const skip = existsSync(TDX) && existsSync(SNP) ? false : 'the vector corpora are not here';

function at(text: string): number {
  return parseInstant(text) ?? assert.fail(text);
}

function quote(
  name: string,
  collateral: string,
  time: string,
  command: 'verify' | 'explain' | 'inspect' = 'explain',
): Promise<Answered> {
  const options = { collateral: `${TDX}/collateral/${collateral}.json`, at: at(time) };
  return attest(command, `${TDX}/quotes/${name}.bin`, options);
}

function report(
  name: string,
  files: Pick<AttestOptions, 'vek' | 'crl'>,
  time: string,
  command: 'verify' | 'explain' = 'explain',
): Promise<Answered> {
  const { vek, crl } = files;
  return attest(command, `${SNP}/reports/${name}.bin`, {
    at: at(time),
    ...(vek && { vek: `${SNP}/certs/${vek}.der` }),
    ...(crl && { crl: `${SNP}/crls/${crl}.crl.pem` }),
  });
}

suite('real TDX quotes', { skip }, () => {
  test('a good one is accepted, is no simulation, and shows what it is', async () => {
    const { status, text } = await quote('real-r01', 'real-r01', '2025-06-25T00:00:00Z', 'inspect');
    assert.equal(status, 0);
    assert.match(text, /^ACCEPTED, NO POLICY/);
    assert.doesNotMatch(text, /SIMULATED|UNVERIFIED/);
    assert.match(text, /FMSPC +b0c06f000000/);
  });

  test('one with collateral that is over names the day', async () => {
    const { status, text } = await quote('real-r01', 'real-r01', '2026-06-25T00:00:00Z');
    assert.equal(status, 1);
    assert.match(text, /Only time speaks against it/);
    assert.match(text, /TCB info expired on 2025-07-19T10:16:03Z, 340 days before/);
  });

  test('one of an old platform gets components in Intel’s words, its advisories and the update', async () => {
    const { status, text } = await quote('real-r18', 'real-r07', '2025-07-15T00:00:00Z');
    assert.equal(status, 1);
    assert.match(text, /BIOS, Early Microcode Update \(sgx\[0\]\) has 6, needs 7/);
    assert.match(text, /OS\/VMM, TDX Late Microcode Update \(tdx\[2\]\) has 6, needs 7/);
    assert.match(text, /open: INTEL-SA-00960, INTEL-SA-00982, INTEL-SA-00986/);
    assert.match(text, /do: Install a BIOS with newer microcode/);
    assert.match(text, /SEPT_VE_DISABLE set/);
  });

  test('one below every level is not supported, with the component that keeps it there', async () => {
    const { text } = await quote('real-r02', 'real-r02', '2026-03-01T00:00:00Z');
    assert.match(text, /platform: NotSupported, below every level that Intel lists/);
    assert.match(text, /OS\/VMM, SEAMLDR ACM \(sgx\[7\]\) has 3, needs 5/);
  });

  test('one with the collateral of another platform says which belongs to it', async () => {
    const { text } = await quote('real-r01', 'real-r20', '2025-06-25T00:00:00Z');
    assert.match(text, /want {2}b0c06f000000\n {2}got {3}00806f050000/);
  });
});

suite('real SEV-SNP reports', { skip }, () => {
  const genoa = 'real-genoa-v3-azure-coco';

  test('a good one is accepted', async () => {
    const files = { vek: `amd-${genoa}-vek`, crl: 'amd-genoa' };
    const { status, text } = await report(genoa, files, '2025-06-01T00:00:00Z', 'verify');
    assert.equal(status, 0, text);
    assert.doesNotMatch(text, /SIMULATED/);
    assert.match(text, /TCB status bootloader 10, tee 0, snp 23, microcode 84/);
  });

  test('one with a list that is over says so', async () => {
    const files = { vek: `amd-${genoa}-vek`, crl: 'amd-genoa' };
    const { status, text } = await report(genoa, files, '2026-01-15T00:00:00Z');
    assert.equal(status, 1);
    assert.match(text, /^crl\.freshness$/m);
    assert.match(text, /kdsintf\.amd\.com\/vcek\/v1\/Genoa\/crl/);
  });

  test('one with another chip’s certificate says which certificate to fetch', async () => {
    const files = { vek: 'amd-real-milan-v5-gcp-vek', crl: 'amd-milan' };
    const { text } = await report('real-milan-v3-ms', files, '2026-01-15T00:00:00Z');
    assert.match(text, /The certificate is not this report’s/);
    assert.match(
      text,
      /vcek\/v1\/Milan\/4ffb5cb4[0-9a-f]{120}\?blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219/,
    );
    assert.match(text, /Do not admit Milan/);
  });

  test('one whose firmware is not committed says commit', async () => {
    const files = { vek: 'amd-real-milan-vlek-aws-vek' };
    const { text } = await report('real-milan-vlek-aws', files, '2025-06-01T00:00:00Z');
    assert.match(text, /Commit the firmware on the host/);
  });
});
