/**
 * What cannot be measured, one broken thing at a time: each is refused with its code, and the sound image beside it is
 * measured. Spec: docs/errors.md, `measure.*`.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cpuSignature, decodeCpu } from '../../../../attestation/snp/measure/cpu-models.ts';
import { decodeGuestFeatures } from '../../../../attestation/snp/measure/guest-features.ts';
import {
  kernelHashesOf,
  type KernelHashes,
} from '../../../../attestation/snp/measure/kernel-hashes.ts';
import {
  decodeFirmwareDigest,
  measureSnpLaunch,
  type SnpImage,
  type SnpMachine,
} from '../../../../attestation/snp/measure/launch.ts';
import { findSnpVmm } from '../../../../attestation/snp/measure/vmms.ts';
import { fixed } from '../../../../core/bytes.ts';
import { hasCode } from '../../../../core/errors.ts';
import {
  buildOvmf,
  entriesWith,
  GUIDS,
  METADATA_FROM_END,
  SECTION_TYPES,
  SECTIONS,
  standardEntries,
  words,
  type OvmfParts,
  type TestSection,
} from '../../../support/snp/ovmf.ts';

const HASH = fixed(new Uint8Array(32).fill(7), 32);
const KERNEL_HASHES: KernelHashes = { kernel: HASH, initrd: HASH, commandLine: HASH };
const MACHINE: SnpMachine = { vcpus: 2, cpuSignature: 0x00a0_0f11, guestFeatures: 1n };

function measure(image: Partial<SnpImage>, machine: Partial<SnpMachine> = {}): void {
  const whole: SnpImage = { firmware: buildOvmf(), vmm: 'qemu', ...image };
  measureSnpLaunch(whole, { ...MACHINE, ...machine });
}

function refused(code: string, action: () => unknown): void {
  assert.throws(action, (error) => hasCode(error, code) || assert.fail(String(error)));
}

test('the image that these tests break is sound', () => {
  measure({ kernelHashes: KERNEL_HASHES });
});

describe('measure.firmware_size', () => {
  for (const size of [0, 1, 4095, 4097, 16 * 1024 * 1024 + 4096]) {
    test(`${size} bytes`, () =>
      refused('measure.firmware_size', () => measure({ firmware: new Uint8Array(size) })));
  }
});

function refusedFirmware(code: string, parts: OvmfParts): void {
  refused(code, () => measure({ firmware: buildOvmf(parts) }));
}

describe('measure.firmware_table', () => {
  const code = 'measure.firmware_table';
  test('no table at all', () => refused(code, () => measure({ firmware: new Uint8Array(0x4000) })));
  test('a footer of another kind', () =>
    refusedFirmware(code, { footer: { guid: GUIDS.metadata } }));
  test('a footer that says less than its own size', () =>
    refusedFirmware(code, { footer: { size: 17 } }));
  test('a footer that says more than the image has', () =>
    refusedFirmware(code, { footer: { size: 0xffff } }));
  test('a footer that cuts an entry in two', () =>
    refusedFirmware(code, { footer: { size: 18 + 22 + 5 } }));
  test('an entry of no size', () =>
    refusedFirmware(code, {
      entries: [{ guid: GUIDS.metadata, data: words(1), size: 0 }],
    }));
  test('an entry that reaches before the table', () =>
    refusedFirmware(code, {
      entries: [{ guid: GUIDS.metadata, data: words(1), size: 23 }],
    }));
  test('an entry twice', () => {
    const [first] = standardEntries();
    assert.ok(first);
    refusedFirmware(code, { entries: [first, ...standardEntries()] });
  });
  for (const data of [words(1), words(1, 2, 3)]) {
    test(`an entry for the hash table with ${data.length} bytes`, () =>
      refusedFirmware(code, { entries: entriesWith(GUIDS.hashTable, data) }));
  }
});

describe('measure.reset_vector', () => {
  const broken: Readonly<Record<string, Uint8Array | undefined>> = {
    'no reset block': undefined,
    'an address of zero': words(0),
    'too few bytes': words(1).subarray(1),
    'too many bytes': words(1, 2),
  };
  for (const [what, data] of Object.entries(broken)) {
    test(what, () =>
      refusedFirmware('measure.reset_vector', { entries: entriesWith(GUIDS.resetBlock, data) }),
    );
  }
});

describe('measure.metadata', () => {
  const code = 'measure.metadata';
  const entryWith = (data: Uint8Array | undefined): OvmfParts => ({
    entries: entriesWith(GUIDS.metadata, data),
  });
  test('none', () => refusedFirmware(code, entryWith(undefined)));
  test('too few bytes to point at it', () =>
    refusedFirmware(code, entryWith(words(1).subarray(2))));
  test('too many bytes to point at it', () => refusedFirmware(code, entryWith(words(2048, 0))));
  test('before the image', () => refusedFirmware(code, { metadataFromEnd: 0x4001 }));
  test('before the image, by as much as counts back from its end to the metadata', () =>
    refusedFirmware(code, { metadataFromEnd: 0x4000 + METADATA_FROM_END }));
  test('far before the image', () => refusedFirmware(code, { metadataFromEnd: 0xffff_ffff }));
  test('past the end', () => refusedFirmware(code, { metadataFromEnd: 8 }));
  test('nowhere', () => refusedFirmware(code, { metadataFromEnd: 0 }));
  test('another signature', () => refusedFirmware(code, { metadata: { signature: 'ASEW' } }));
  for (const version of [0, 2]) {
    test(`version ${version}`, () => refusedFirmware(code, { metadata: { version } }));
  }
  for (const length of [0, 75, 77, 0xffff_ffff]) {
    test(`length ${length}`, () => refusedFirmware(code, { metadata: { length } }));
  }
  test('more sections than any firmware has', () =>
    refusedFirmware(code, { metadata: { count: 65, length: 16 + 12 * 65 } }));
  test('sections past the end of the image', () => {
    // The header is in its place; the sections it announces reach past the last byte.
    const firmware = buildOvmf({ metadataFromEnd: 16 });
    firmware.set(Buffer.from('ASEV', 'latin1'), firmware.length - 16);
    firmware.set(words(16 + 12, 1, 1), firmware.length - 12);
    refused(code, () => measure({ firmware }));
  });
});

const MIB = 1024 * 1024;

describe('measure.section', () => {
  const { secMem, secrets, cpuid } = SECTION_TYPES;
  const added = (gpa: number, size: number, type: number): TestSection => ({ gpa, size, type });
  const broken: Readonly<Record<string, TestSection>> = {
    'a type that is not known': added(0x90_0000, 0x1000, 5),
    'type zero': added(0x90_0000, 0x1000, 0),
    'no size': added(0x90_0000, 0, secMem),
    'half a page': added(0x90_0000, 0x1800, secMem),
    'an address within a page': added(0x90_0800, 0x1000, secMem),
    'two pages for secrets': added(0x90_0000, 0x2000, secrets),
    'two pages for CPUID': added(0x90_0000, 0x2000, cpuid),
    'the place of another': added(0x80_d000, 0x1000, secMem),
    'reaching into another': added(0x7f_f000, 0x2000, secMem),
    'reaching into the firmware': added(0xffff_b000, 0x2000, secMem),
    'the place of the firmware': added(0xffff_e000, 0x1000, secMem),
    'past 4 GiB': added(0xffff_f000, 0x2000, secMem),
    'more pages than are measured': added(0x1000_0000, 64 * MIB, secMem),
    'nearly all memory': added(0x1000_0000, 0xe000_0000, secMem),
  };
  for (const [what, section] of Object.entries(broken)) {
    test(what, () => refusedFirmware('measure.section', { sections: [...SECTIONS, section] }));
  }
  test('as many pages as are measured pass', () => {
    const pages = 16_384 - SECTIONS.reduce((sum, { size }) => sum + size / 0x1000, 0);
    const section = added(0x1000_0000, pages * 0x1000, secMem);
    measure({ firmware: buildOvmf({ sections: [...SECTIONS, section] }) });
  });
});

describe('measure.kernel_hashes', () => {
  const refusedKernel = (parts: OvmfParts): void =>
    refused('measure.kernel_hashes', () =>
      measure({ firmware: buildOvmf(parts), kernelHashes: KERNEL_HASHES }),
    );
  const withTable = (gpa: number, size: number): OvmfParts => ({
    entries: entriesWith(GUIDS.hashTable, words(gpa, size)),
  });
  const others = SECTIONS.filter(({ type }) => type !== SECTION_TYPES.kernelHashes);
  const type = SECTION_TYPES.kernelHashes;

  test('no page for them', () => refusedKernel({ sections: others }));
  test('no table for them', () =>
    refusedKernel({ entries: entriesWith(GUIDS.hashTable, undefined) }));
  test('a table at address zero, as builds without measured boot have', () =>
    refusedKernel(withTable(0, 0)));
  test('a table at address zero, even with a page there', () =>
    refusedKernel({
      ...withTable(0, 0x400),
      sections: [...others, { gpa: 0, size: 0x1000, type }],
    }));
  test('a table that is too small', () => refusedKernel(withTable(0x81_0c00, 175)));
  test('a table in another page', () => refusedKernel(withTable(0x80_0c00, 0x400)));
  test('a table that reaches out of its page', () => refusedKernel(withTable(0x81_0f60, 0x400)));
  test('a table whose padding alone reaches out of its page', () =>
    refusedKernel(withTable(0x81_0f58, 0x400)));
  test('a table that ends with its page passes', () =>
    measure({ firmware: buildOvmf(withTable(0x81_0f50, 176)), kernelHashes: KERNEL_HASHES }));
  test('two pages', () =>
    refusedKernel({ sections: [...others, { gpa: 0x81_0000, size: 0x2000, type }] }));
  test('a second page for them', () =>
    refusedKernel({ sections: [...SECTIONS, { gpa: 0x82_0000, size: 0x1000, type }] }));
  test('without a kernel none of this matters', () => {
    measure({ firmware: buildOvmf(withTable(0, 0)) });
    measure({ firmware: buildOvmf({ sections: others }) });
  });
});

describe('measure.kernel_missing', () => {
  test('an initrd alone', () =>
    refused('measure.kernel_missing', () => kernelHashesOf({ initrd: HASH, commandLine: '' })));
  test('a command line alone', () =>
    refused('measure.kernel_missing', () => kernelHashesOf({ commandLine: 'ro' })));
});

describe('measure.command_line', () => {
  const broken: Readonly<Record<string, string>> = {
    'a zero byte': 'ro\0quiet',
    'half a surrogate pair': 'ro \ud800',
    'more than 64 KiB': 'é'.repeat(32 * 1024) + '.',
  };
  for (const [what, commandLine] of Object.entries(broken)) {
    test(what, () =>
      refused('measure.command_line', () => kernelHashesOf({ kernel: HASH, commandLine })),
    );
  }
  test('64 KiB pass', () => {
    assert.ok(kernelHashesOf({ kernel: HASH, commandLine: 'é'.repeat(32 * 1024) }));
  });
});

describe('measure.vcpus', () => {
  for (const vcpus of [0, -1, 1.5, 4097, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(String(vcpus), () => refused('measure.vcpus', () => measure({}, { vcpus })));
  }
});

describe('measure.cpu_model', () => {
  for (const text of [
    'Skylake-Server',
    'EPYC-v6',
    '',
    '0x',
    '0x100000000',
    '25',
    '25-1',
    '1-2-3-4',
  ]) {
    test(JSON.stringify(text), () => refused('measure.cpu_model', () => decodeCpu(text)));
  }
  for (const text of ['271-1-1', '25-256-1', '25-1-16']) {
    test(`${text} has no signature`, () => refused('measure.cpu_model', () => decodeCpu(text)));
  }
  const milan = { family: 25, model: 1, stepping: 1 };
  for (const change of [{ family: -1 }, { model: -1 }, { stepping: -1 }, { stepping: 0.5 }]) {
    test(`${JSON.stringify(change)} has no signature`, () =>
      refused('measure.cpu_model', () => cpuSignature({ ...milan, ...change })));
  }
  for (const signature of [-1, 0.5, 2 ** 32, Number.NaN]) {
    test(`a signature of ${signature}`, () =>
      refused('measure.cpu_model', () => measure({}, { cpuSignature: signature })));
  }
});

describe('measure.guest_features', () => {
  for (const text of ['', '1', '0x', '0x0', '0x20', '0x1ffffffffffffffff', '-0x1']) {
    test(JSON.stringify(text), () =>
      refused('measure.guest_features', () => decodeGuestFeatures(text)),
    );
  }
  for (const guestFeatures of [0n, 2n, -1n, (1n << 64n) | 1n]) {
    test(`a mask of ${guestFeatures}`, () =>
      refused('measure.guest_features', () => measure({}, { guestFeatures })));
  }
});

describe('measure.vmm', () => {
  for (const name of ['', 'QEMU', 'xen', 'toString']) {
    test(JSON.stringify(name), () => refused('measure.vmm', () => findSnpVmm(name)));
  }
});

describe('measure.firmware_digest', () => {
  for (const text of ['', 'ab', 'g'.repeat(96), '0'.repeat(95), '0'.repeat(98)]) {
    test(`${text.length} characters`, () =>
      refused('measure.firmware_digest', () => decodeFirmwareDigest(text)));
  }
});
