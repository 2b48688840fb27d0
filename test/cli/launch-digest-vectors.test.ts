/** Launch digest cases through `veilgate vectors`, on firmware made here: computed, refused, unreadable. @module */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runVectors, type VectorLine } from '../../cli/vectors.ts';
import { kernelHashesOf } from '../../attestation/snp/measure/kernel-hashes.ts';
import { measureSnpLaunch } from '../../attestation/snp/measure/launch.ts';
import { sha256 } from '#primitives';
import { toHex, utf8 } from '../../core/bytes.ts';
import { buildOvmf } from '../support/snp/ovmf.ts';

const FIRMWARE = buildOvmf();
const CASE = {
  id: 'one',
  ovmf: 'ovmf.bin',
  ovmf_hash: null,
  vcpus: 2,
  vcpu_type: 'EPYC-Milan',
  vcpu_sig: '0x00a00f11',
  kernel: 'kernel.bin',
  initrd: null,
  cmdline: 'ro',
  guest_features: '0x1',
  vmm: 'qemu',
  expect_measurement: '00'.repeat(48),
};

function linesOf(...changes: readonly object[]): readonly VectorLine[] {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-launch-'));
  try {
    const cases = changes.map((change) => ({ ...CASE, ...change }));
    const path = join(folder, 'cases.json');
    writeFileSync(path, JSON.stringify({ schema: 'veilgate-launch-digest/1', cases }));
    writeFileSync(join(folder, 'ovmf.bin'), FIRMWARE);
    writeFileSync(join(folder, 'kernel.bin'), 'a kernel');
    const lines: VectorLine[] = [];
    runVectors(path, (line) => lines.push(line));
    return lines;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a case is computed from its files, and what the manifest expects changes nothing', () => {
  const kernelHashes = kernelHashesOf({ kernel: sha256(utf8('a kernel')), commandLine: 'ro' });
  assert.ok(kernelHashes);
  const measurement = toHex(
    measureSnpLaunch(
      { firmware: FIRMWARE, kernelHashes, vmm: 'qemu' },
      { vcpus: 2, cpuSignature: 0x00a0_0f11, guestFeatures: 1n },
    ),
  );
  for (const line of linesOf({}, { expect_measurement: measurement })) {
    assert.deepEqual(line, {
      id: 'one',
      verdict: 'accept',
      failing: [],
      warnings: [],
      authentic: null,
      tcb: null,
      fields: { measurement },
      ms: line.ms,
    });
  }
});

test('the word for an empty file is a file of no bytes, not no file', () => {
  const [empty, absent] = linesOf(
    { kernel: '(empty)', initrd: '(empty)' },
    { kernel: '(empty)', initrd: null },
  );
  assert.equal(empty?.verdict, 'accept');
  assert.deepEqual(empty.fields, absent?.fields);
  const [none] = linesOf({ kernel: null, cmdline: '' });
  assert.notDeepEqual(none?.fields, empty.fields);
});

test('a model alone and its signature alone are the same CPU', () => {
  const [both, model, signature] = linesOf({}, { vcpu_sig: undefined }, { vcpu_type: undefined });
  assert.equal(both?.verdict, 'accept');
  assert.deepEqual(model?.fields, both.fields);
  assert.deepEqual(signature?.fields, both.fields);
});

test('inputs that are refused are a verdict with the code', () => {
  const refusals: readonly (readonly [change: object, code: string])[] = [
    [{ ovmf: 'kernel.bin' }, 'measure.firmware_size'],
    [{ ovmf_hash: 'ab' }, 'measure.firmware_digest'],
    [{ vcpus: 0 }, 'measure.vcpus'],
    [{ vcpu_type: 'EPYC-Naples' }, 'measure.cpu_model'],
    [{ vcpu_type: undefined, vcpu_sig: undefined }, 'measure.cpu_model'],
    [{ kernel: null }, 'measure.kernel_missing'],
    [{ cmdline: 'a\0b' }, 'measure.command_line'],
    [{ guest_features: '0x20' }, 'measure.guest_features'],
    [{ vmm: 'xen' }, 'measure.vmm'],
  ];
  const lines = linesOf(...refusals.map(([change]) => change));
  for (const [at, [, code]] of refusals.entries()) {
    assert.equal(lines[at]?.verdict, 'reject', code);
    assert.deepEqual(lines[at].failing, [code]);
    assert.equal(lines[at].fields, null);
  }
});

test('a file that cannot be read, or a case of another form, is no verdict', () => {
  for (const line of linesOf({ ovmf: 'absent.bin' }, { kernel: '../kernel.bin' }, { vcpus: '2' })) {
    assert.equal(line.verdict, 'error');
    assert.notEqual(line.note ?? '', '');
  }
});
