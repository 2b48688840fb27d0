/**
 * The launch digest against one derived here step by step, from the specifications and without the module's own parts,
 * and what must and must not move it.
 * Spec: AMD 56860, SNP_LAUNCH_UPDATE; AMD APM vol. 2, table B-4; QEMU target/i386/sev.c.
 * @module
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { CPU_MODELS, decodeCpu } from '../../../../attestation/snp/measure/cpu-models.ts';
import { kernelHashesOf } from '../../../../attestation/snp/measure/kernel-hashes.ts';
import {
  measureSnpLaunch,
  measureSnpMachine,
  prepareSnpImage,
  type SnpImage,
  type SnpMachine,
} from '../../../../attestation/snp/measure/launch.ts';
import { SNP_VMMS, type SnpVmmName } from '../../../../attestation/snp/measure/vmms.ts';
import { fixed, toHex } from '../../../../core/bytes.ts';
import {
  buildOvmf,
  entriesWith,
  GUIDS,
  RESET_ADDRESS,
  SECTION_TYPES,
  SECTIONS,
  standardEntries,
  storedGuid,
  words,
} from '../../../support/snp/ovmf.ts';

function digestOf(algorithm: 'sha256' | 'sha384', ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** AMD 56860, PAGE_INFO: digest so far, contents, length 0x70, type, six zero bytes, address. */
function extended(digest: Buffer, type: number, gpa: number, contents: Buffer): Buffer {
  const tail = Buffer.from('7000' + '00'.repeat(14), 'hex');
  tail.writeUInt8(type, 2);
  tail.writeBigUInt64LE(BigInt(gpa), 8);
  return digestOf('sha384', digest, contents, tail);
}

const ZERO_DIGEST = Buffer.alloc(48);

/** The save area as offsets and little-endian bytes; everything else is zero. */
function saveAreaByHand(fields: Readonly<Record<number, string>>): Buffer {
  const page = Buffer.alloc(4096);
  for (const [at, hex] of Object.entries(fields)) page.write(hex, Number(at), 'hex');
  return page;
}

/** selector, attributes, limit, low half of the base. */
const DATA_SEGMENT = '00009300ffff0000';
const COMMON_STATE = {
  0x00: DATA_SEGMENT,
  0x30: DATA_SEGMENT,
  0x40: DATA_SEGMENT,
  0x50: DATA_SEGMENT,
  0x60: '00000000ffff0000',
  0x70: '00008200ffff0000',
  0x80: '00000000ffff0000',
  0xd0: '0010',
  0x148: '40',
  0x158: '10',
  0x160: '0004',
  0x168: 'f00fffff',
  0x170: '02',
  0x3e8: '01',
};
const QEMU_STATE = {
  ...COMMON_STATE,
  0x20: DATA_SEGMENT,
  0x90: '00008b00ffff0000',
  0x268: '0604070006040700',
  0x310: '110fa000', // EPYC-Milan: family 25, model 1, stepping 1
  0x3b0: '01',
  0x408: '801f',
  0x410: '7f03',
};
const QEMU_FIRST = { ...QEMU_STATE, 0x10: '00f09b00ffff00000000ffff', 0x178: 'f0ff' };
/** Starts at RESET_ADDRESS, 0x0080b004. */
const QEMU_FURTHER = { ...QEMU_STATE, 0x10: '00f09b00ffff000000008000', 0x178: '04b0' };

const KERNEL = Buffer.from('a kernel');
const INITRD = Buffer.from('an initrd');
const COMMAND_LINE = 'console=ttyS0 ro';

/** `SevHashTable`: three entries of 50 bytes after a header of 18, each with its GUID and its own length. */
function hashPageByHand(): Buffer {
  const entry = (guid: string, hash: Buffer): Buffer =>
    Buffer.concat([storedGuid(guid), Buffer.from('3200', 'hex'), hash]);
  const table = Buffer.concat([
    storedGuid('9438d606-4f22-4cc9-b479-a793d411fd21'),
    Buffer.from('a800', 'hex'),
    entry(
      '97d02dd8-bd20-4c94-aa78-e7714d36ab2a',
      digestOf('sha256', Buffer.from(`${COMMAND_LINE}\0`)),
    ),
    entry('44baf731-3a2f-4bd7-9af1-41e29169781d', digestOf('sha256', INITRD)),
    entry('4de79437-abd2-427f-b835-d5b172d2045b', digestOf('sha256', KERNEL)),
  ]);
  const page = Buffer.alloc(4096);
  table.copy(page, 0xc00); // HASH_TABLE lies at 0x810c00, its page at 0x810000
  return page;
}

function firmwareByHand(firmware: Uint8Array): Buffer {
  let digest: Buffer = ZERO_DIGEST;
  for (let at = 0; at < firmware.length; at += 4096) {
    const contents = digestOf('sha384', firmware.subarray(at, at + 4096));
    digest = extended(digest, 1, 2 ** 32 - firmware.length + at, contents);
  }
  return digest;
}

const VMSA_GPA = 0xffff_ffff_f000;

const FIRMWARE = buildOvmf();
const KERNEL_HASHES = kernelHashesOf({
  kernel: fixed(digestOf('sha256', KERNEL), 32),
  initrd: fixed(digestOf('sha256', INITRD), 32),
  commandLine: COMMAND_LINE,
});
assert.ok(KERNEL_HASHES !== undefined);
const IMAGE: SnpImage = { firmware: FIRMWARE, kernelHashes: KERNEL_HASHES, vmm: 'qemu' };
const MACHINE: SnpMachine = { vcpus: 3, cpuSignature: 0x00a0_0f11, guestFeatures: 1n };

function measured(image: Partial<SnpImage> = {}, machine: Partial<SnpMachine> = {}): string {
  return toHex(measureSnpLaunch({ ...IMAGE, ...image }, { ...MACHINE, ...machine }));
}

/** What every test below changes one thing of. */
const { kernelHashes: _none, ...WITHOUT_KERNEL } = IMAGE;

function measuredBare(vmm: SnpVmmName, vcpus: number): string {
  return toHex(measureSnpLaunch({ ...WITHOUT_KERNEL, vmm }, { ...MACHINE, vcpus }));
}

describe('a launch derived by hand', () => {
  test('under QEMU with a kernel, every type of section and three vCPUs', () => {
    let digest = firmwareByHand(FIRMWARE);
    for (const gpa of [0x80_0000, 0x80_1000, 0x80_2000]) {
      digest = extended(digest, 3, gpa, ZERO_DIGEST); // SEC memory: zero
    }
    digest = extended(digest, 6, 0x80_e000, ZERO_DIGEST); // CPUID
    digest = extended(digest, 5, 0x80_d000, ZERO_DIGEST); // secrets
    digest = extended(digest, 1, 0x81_0000, digestOf('sha384', hashPageByHand())); // hashes
    digest = extended(digest, 3, 0x80_f000, ZERO_DIGEST); // SVSM calling area: zero
    for (const fields of [QEMU_FIRST, QEMU_FURTHER, QEMU_FURTHER]) {
      digest = extended(digest, 2, VMSA_GPA, digestOf('sha384', saveAreaByHand(fields)));
    }
    assert.equal(measured(), digest.toString('hex'));
  });

  test('under EC2: the CPUID page last, no kernel hashes, its own state of the vCPUs', () => {
    let digest = firmwareByHand(FIRMWARE);
    for (const gpa of [0x80_0000, 0x80_1000, 0x80_2000])
      digest = extended(digest, 3, gpa, ZERO_DIGEST);
    digest = extended(digest, 5, 0x80_d000, ZERO_DIGEST);
    digest = extended(digest, 3, 0x81_0000, ZERO_DIGEST); // nothing to hash: a zero page
    digest = extended(digest, 3, 0x80_f000, ZERO_DIGEST);
    digest = extended(digest, 6, 0x80_e000, ZERO_DIGEST);
    const state = {
      ...COMMON_STATE,
      0x20: '00009200ffff0000',
      0x90: '00008300ffff0000',
      0x268: '0604070006040700',
      0x310: '0006',
      0x3b0: '01',
    };
    const first = { ...state, 0x10: '00f09a00ffff00000000ffff', 0x178: 'f0ff' };
    const further = { ...state, 0x10: '00f09b00ffff000000008000', 0x178: '04b0' };
    for (const fields of [first, further]) {
      digest = extended(digest, 2, VMSA_GPA, digestOf('sha384', saveAreaByHand(fields)));
    }
    assert.equal(measuredBare('ec2', 2), digest.toString('hex'));
  });

  test('under GCE: SEC memory unmeasured, its own PAT', () => {
    let digest = firmwareByHand(FIRMWARE);
    for (const gpa of [0x80_0000, 0x80_1000, 0x80_2000])
      digest = extended(digest, 4, gpa, ZERO_DIGEST);
    digest = extended(digest, 6, 0x80_e000, ZERO_DIGEST);
    digest = extended(digest, 5, 0x80_d000, ZERO_DIGEST);
    digest = extended(digest, 3, 0x81_0000, ZERO_DIGEST);
    digest = extended(digest, 3, 0x80_f000, ZERO_DIGEST);
    const first = {
      ...COMMON_STATE,
      0x10: '00f09b00ffff00000000ffff',
      0x20: DATA_SEGMENT,
      0x90: '00008b00ffff0000',
      0x178: 'f0ff',
      0x268: '06010700',
      0x310: '0006',
      0x3b0: '01',
    };
    digest = extended(digest, 2, VMSA_GPA, digestOf('sha384', saveAreaByHand(first)));
    assert.equal(measuredBare('gce', 1), digest.toString('hex'));
  });
});

test('the same launches as another program, in another language, computed them', () => {
  assert.deepEqual(
    [measured(), measuredBare('ec2', 2), measuredBare('gce', 1)],
    [
      '9cbb4b79250ac4886900a47a677a6a5b5a0e2e297ef289a40cd08ea5fbcc5663d6d583825d7b8ed1b6d89cfe3f447295',
      '029a3e0164c1f484e9b514885c5866744ba31c421f6cc074d39af8a718861d01f5295502d032d4a8fed088abca7fbd17',
      'f93653233dd96a0bd85451f6884bd9de04079e4d8af23a33f1301edb108aca769b20981239d17564990f6d82ac5db642',
    ],
  );
});

describe('every input is measured', () => {
  const base = measured();
  const OTHER = fixed(digestOf('sha256', Buffer.from('other')), 32);
  const changes: Readonly<Record<string, string>> = {
    'a byte of the first page': measured({ firmware: withByte(FIRMWARE, 0) }),
    'the last byte of the firmware': measured({
      firmware: withByte(FIRMWARE, FIRMWARE.length - 1),
    }),
    'the kernel': measured({ kernelHashes: { ...KERNEL_HASHES, kernel: OTHER } }),
    'the initrd': measured({ kernelHashes: { ...KERNEL_HASHES, initrd: OTHER } }),
    'the command line': measured({ kernelHashes: { ...KERNEL_HASHES, commandLine: OTHER } }),
    'leaving the kernel out': measuredBare('qemu', MACHINE.vcpus),
    'one vCPU less': measured({}, { vcpus: 2 }),
    'one vCPU alone': measured({}, { vcpus: 1 }),
    'the CPU model': measured({}, { cpuSignature: 0x00a1_0f10 }),
    'the SEV features': measured({}, { guestFeatures: 0x21n }),
    EC2: measured({ vmm: 'ec2' }),
    GCE: measured({ vmm: 'gce' }),
  };
  for (const [what, digest] of Object.entries(changes)) {
    test(what, () => assert.notEqual(digest, base));
  }
  test('and no two of these changes come to the same', () => {
    assert.equal(new Set(Object.values(changes)).size, Object.keys(changes).length);
  });
});

function withByte(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** The metadata alone: with the pages' digest given, nothing else of the firmware is left to differ. */
const GIVEN = fixed(digestOf('sha384', Buffer.from('given')), 48);

describe('the firmware says what is measured', () => {
  const base = measured({ firmwareDigest: GIVEN });
  const [secMem, cpuid, secrets, hashes, caa] = SECTIONS;
  assert.ok(secMem && cpuid && secrets && hashes && caa);
  const changed = (sections: typeof SECTIONS): string =>
    measured({ firmwareDigest: GIVEN, firmware: buildOvmf({ sections }) });

  test('the order of its sections', () => {
    assert.notEqual(changed([cpuid, secMem, secrets, hashes, caa]), base);
  });
  test('where a section lies', () => {
    assert.notEqual(changed([{ ...secMem, gpa: 0x70_0000 }, cpuid, secrets, hashes, caa]), base);
  });
  test('how long a section is', () => {
    assert.notEqual(changed([{ ...secMem, size: 0x4000 }, cpuid, secrets, hashes, caa]), base);
  });
  test('of what type a section is', () => {
    const types = [SECTION_TYPES.secrets, SECTION_TYPES.cpuid].map((type) =>
      changed([secMem, cpuid, secrets, hashes, { ...caa, type }]),
    );
    assert.equal(new Set([base, ...types]).size, 3);
  });
  test('where further vCPUs start', () => {
    const firmware = buildOvmf({
      entries: entriesWith(GUIDS.resetBlock, words(RESET_ADDRESS + 8)),
    });
    assert.notEqual(measured({ firmwareDigest: GIVEN, firmware }), base);
    assert.equal(
      measured({ firmwareDigest: GIVEN, firmware }, { vcpus: 1 }),
      measured({ firmwareDigest: GIVEN }, { vcpus: 1 }),
    );
  });
  test('where in its page the table of hashes lies', () => {
    const entries = entriesWith(GUIDS.hashTable, words(0x81_0c10, 0x3f0));
    assert.notEqual(measured({ firmwareDigest: GIVEN, firmware: buildOvmf({ entries }) }), base);
  });
  test('entries that a launch has no use for change nothing', () => {
    const spare = { guid: 'e47a6535-984a-4798-865e-4685a7bf8ec2', data: words(1) };
    const firmware = buildOvmf({ entries: [spare, ...standardEntries()] });
    assert.equal(measured({ firmwareDigest: GIVEN, firmware }), base);
  });
});

test('a digest of the firmware pages stands for them', () => {
  const { firmwareDigest } = prepareSnpImage(IMAGE);
  assert.equal(toHex(firmwareDigest), firmwareByHand(FIRMWARE).toString('hex'));
  // Another firmware with the same metadata: its pages are not looked at.
  const firmware = withByte(FIRMWARE, 0);
  assert.equal(measured({ firmware, firmwareDigest }), measured());
});

test('one prepared image serves machines of every shape', () => {
  const image = prepareSnpImage(IMAGE);
  for (const vcpus of [1, 2, 64]) {
    const machine = { ...MACHINE, vcpus };
    assert.deepEqual(measureSnpMachine(image, machine), measureSnpLaunch(IMAGE, machine));
  }
});

test('an initrd that is not there counts as one of no bytes', () => {
  const kernel = fixed(digestOf('sha256', KERNEL), 32);
  const hashes = kernelHashesOf({ kernel, commandLine: '' });
  assert.equal(toHex(hashes?.initrd ?? new Uint8Array()), digestOf('sha256').toString('hex'));
});

test('nothing to boot is no hashes', () => {
  assert.equal(kernelHashesOf({ commandLine: '' }), undefined);
});

test('firmware of the largest size is measured, from a view into a larger buffer too', () => {
  const firmware = buildOvmf({ sizeBytes: 16 * 1024 * 1024 });
  const around = new Uint8Array(firmware.length + 64).fill(0xa5);
  around.set(firmware, 32);
  const view = around.subarray(32, 32 + firmware.length);
  assert.equal(measured({ firmware: view }), measured({ firmware }));
});

describe('CPU models', () => {
  test('have the signatures that QEMU gives them', () => {
    const signatures = Object.fromEntries(
      ['EPYC-v4', 'EPYC-IBPB', 'EPYC-Rome', 'EPYC-Milan-v2', 'EPYC-Genoa', 'EPYC-Turin'].map(
        (name) => [name, decodeCpu(name).signature.toString(16)],
      ),
    );
    assert.deepEqual(signatures, {
      'EPYC-v4': '800f12',
      'EPYC-IBPB': '800f12',
      'EPYC-Rome': '830f10',
      'EPYC-Milan-v2': 'a00f11',
      'EPYC-Genoa': 'a10f10',
      'EPYC-Turin': 'b00f00',
    });
  });
  test('can be named by signature, by numbers, and in any case of letters', () => {
    for (const text of ['EPYC-Milan', 'epyc-milan', '0x00a00f11', '0xA00F11', '25-1-1']) {
      assert.equal(decodeCpu(text).signature, 0x00a0_0f11, text);
    }
    assert.equal(decodeCpu('6-15-3').signature, 0x6f3); // a family below 15 has no extension
  });
  test('have one name each', () => {
    assert.equal(new Set(CPU_MODELS.map(({ name }) => name)).size, CPU_MODELS.length);
  });
});

test('only QEMU lets the CPU model into the digest', () => {
  const depends = SNP_VMMS.map(({ name }) => {
    const image = { ...WITHOUT_KERNEL, vmm: name };
    const [one, other] = [0x00a0_0f11, 0x0080_0f12].map((cpuSignature) =>
      toHex(measureSnpLaunch(image, { ...MACHINE, cpuSignature })),
    );
    return [name, one !== other];
  });
  assert.deepEqual(depends, [
    ['qemu', true],
    ['ec2', false],
    ['gce', false],
  ]);
});
