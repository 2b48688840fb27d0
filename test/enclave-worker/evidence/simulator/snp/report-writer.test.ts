/**
 * Where the report writer puts each field, by offsets written down here, and that it writes real reports again byte for
 * byte from what the corpus says about them. Spec: AMD 56860, "ATTESTATION_REPORT"; sev-snp.md §1.
 * @module
 */

import assert from 'node:assert/strict';
import { KeyObject, verify } from 'node:crypto';
import { describe, test } from 'node:test';
import { generateP384 } from '../../../../../attestation/x509-keys.ts';
import { concat, fixed, isZero, toHex, type Bytes } from '../../../../../core/bytes.ts';
import {
  REPORT_BYTES,
  SIGNED_BYTES,
  signReport,
  writeReport,
  writeSignature,
  writeTcb,
  type ReportFields,
} from '../../../../../enclave-worker/evidence/simulator/snp/report-writer.ts';
import { corpusReports, hasCorpus, reportFieldsOf } from '../../../../support/snp/amd-corpus.ts';

function filled<N extends number>(size: N, byte: number): Bytes<N> {
  return fixed(new Uint8Array(size).fill(byte), size);
}

const ZERO_TCB = { bootloader: 0, tee: 0, snp: 0, microcode: 0 };
const ZERO_FIRMWARE = { major: 0, minor: 0, build: 0 };
const EMPTY: ReportFields = {
  version: 0,
  guestSvn: 0,
  policy: 0n,
  familyId: filled(16, 0),
  imageId: filled(16, 0),
  vmpl: 0,
  signatureAlgorithm: 0,
  currentTcb: ZERO_TCB,
  platformInfo: 0n,
  signerInfo: 0,
  reportData: filled(64, 0),
  measurement: filled(48, 0),
  hostData: filled(32, 0),
  idKeyDigest: filled(48, 0),
  authorKeyDigest: filled(48, 0),
  reportId: filled(32, 0),
  reportIdMa: filled(32, 0),
  reportedTcb: ZERO_TCB,
  chipId: filled(64, 0),
  committedTcb: ZERO_TCB,
  currentFirmware: ZERO_FIRMWARE,
  committedFirmware: ZERO_FIRMWARE,
  launchTcb: ZERO_TCB,
};
const TCB = { bootloader: 1, tee: 2, snp: 3, microcode: 4 };
const TCB_HEX = '0102000000000304';
const TURIN_TCB = { fmc: 5, ...TCB };
const TURIN_TCB_HEX = '0501020300000004';
const FIRMWARE = { major: 1, minor: 55, build: 40 };

const PLACES: readonly (readonly [field: Partial<ReportFields>, offset: number, hex: string])[] = [
  [{ version: 0x0403_0201 }, 0x000, '01020304'],
  [{ guestSvn: 0xf403_0201 }, 0x004, '010203f4'],
  [{ policy: 0xf807_0605_0403_0201n }, 0x008, '01020304050607f8'],
  [{ familyId: filled(16, 0xaa) }, 0x010, 'aa'.repeat(16)],
  [{ imageId: filled(16, 0xaa) }, 0x020, 'aa'.repeat(16)],
  [{ vmpl: 0xffff_ffff }, 0x030, 'ffffffff'],
  [{ signatureAlgorithm: 1 }, 0x034, '01000000'],
  [{ currentTcb: TCB }, 0x038, TCB_HEX],
  [{ currentTcb: TURIN_TCB }, 0x038, TURIN_TCB_HEX],
  [{ platformInfo: 0x25n }, 0x040, '2500000000000000'],
  [{ signerInfo: 0x1d }, 0x048, '1d000000'],
  [{ reportData: filled(64, 0xaa) }, 0x050, 'aa'.repeat(64)],
  [{ measurement: filled(48, 0xaa) }, 0x090, 'aa'.repeat(48)],
  [{ hostData: filled(32, 0xaa) }, 0x0c0, 'aa'.repeat(32)],
  [{ idKeyDigest: filled(48, 0xaa) }, 0x0e0, 'aa'.repeat(48)],
  [{ authorKeyDigest: filled(48, 0xaa) }, 0x110, 'aa'.repeat(48)],
  [{ reportId: filled(32, 0xaa) }, 0x140, 'aa'.repeat(32)],
  [{ reportIdMa: filled(32, 0xaa) }, 0x160, 'aa'.repeat(32)],
  [{ reportedTcb: TCB }, 0x180, TCB_HEX],
  [{ cpuid: { family: 0x1a, model: 2, stepping: 1 } }, 0x188, '1a0201'],
  [{ chipId: filled(64, 0xaa) }, 0x1a0, 'aa'.repeat(64)],
  [{ committedTcb: TCB }, 0x1e0, TCB_HEX],
  [{ currentFirmware: FIRMWARE }, 0x1e8, '283701'],
  [{ committedFirmware: FIRMWARE }, 0x1ec, '283701'],
  [{ launchTcb: TCB }, 0x1f0, TCB_HEX],
  [{ launchMitigations: 0x0bn }, 0x1f8, '0b00000000000000'],
  [{ currentMitigations: 0x0bn }, 0x200, '0b00000000000000'],
];

test('an empty report is 672 zeros', () => {
  const report = writeReport(EMPTY);
  assert.equal(report.length, SIGNED_BYTES);
  assert.ok(isZero(report));
});

for (const [field, offset, hex] of PLACES) {
  const name = Object.keys(field).join();
  test(`${name} stands at 0x${offset.toString(16)} and nowhere else`, () => {
    const report = writeReport({ ...EMPTY, ...field });
    const end = offset + hex.length / 2;
    assert.equal(toHex(report.subarray(offset, end)), hex);
    assert.ok(isZero(report.subarray(0, offset)));
    assert.ok(isZero(report.subarray(end)));
    assert.equal(report.length, SIGNED_BYTES);
  });
}

test('both layouts of a TCB leave their reserved bytes zero', () => {
  assert.equal(toHex(writeTcb(TCB)), TCB_HEX);
  assert.equal(toHex(writeTcb(TURIN_TCB)), TURIN_TCB_HEX);
});

test('the halves of a signature are little-endian, each in 72 bytes', () => {
  const rs = Uint8Array.from({ length: 96 }, (_, at) => at + 1);
  const written = writeSignature(rs);
  assert.equal(written.length, REPORT_BYTES - SIGNED_BYTES);
  const whole = concat(new Uint8Array(SIGNED_BYTES), written);
  assert.equal(toHex(whole.subarray(0x2a0, 0x2d0)), toHex(rs.slice(0, 48).reverse()));
  assert.equal(toHex(whole.subarray(0x2e8, 0x318)), toHex(rs.slice(48).reverse()));
  assert.ok(isZero(whole.subarray(0x2d0, 0x2e8)));
  assert.ok(isZero(whole.subarray(0x318)));
});

test('a signed report verifies under its key, over the first 672 bytes', async () => {
  const { privateKey, publicKey } = await generateP384();
  const report = await signReport(privateKey, writeReport({ ...EMPTY, ...PLACES[11]?.[0] }));
  const rs = concat(report.slice(0x2a0, 0x2d0).reverse(), report.slice(0x2e8, 0x318).reverse());
  const key = { key: KeyObject.from(publicKey), dsaEncoding: 'ieee-p1363' } as const;
  assert.equal(verify('sha384', report.subarray(0, 0x2a0), key, rs), true);
});

describe(
  'a report of the shared corpus is written again byte for byte',
  { skip: !hasCorpus },
  () => {
    test('there are enough of them', () => {
      const versions = new Set(corpusReports().map(({ fields }) => fields.report_version));
      assert.ok(corpusReports().filter(({ synthetic }) => !synthetic).length >= 19);
      assert.deepEqual(versions, new Set([2, 3, 4, 5]));
    });
    for (const { id, report, fields } of corpusReports()) {
      test(id, () => {
        const rs = concat(
          report.slice(0x2a0, 0x2d0).reverse(),
          report.slice(0x2e8, 0x318).reverse(),
        );
        const written = concat(writeReport(reportFieldsOf(fields)), writeSignature(rs));
        assert.equal(toHex(written), toHex(report));
      });
    }
  },
);
