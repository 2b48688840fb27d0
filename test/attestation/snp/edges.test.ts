/**
 * The edges of rules that one case in the middle does not hold: each reserved byte of a TCB version, the first and last
 * model of each line, what ends a certificate table, and a masked report with a certificate of the other kind.
 * Each was found by changing the rule and seeing no test fail.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCertTable } from '../../../attestation/snp/cert-table.ts';
import { productOfCpuid, siliconLineOf } from '../../../attestation/snp/products.ts';
import { isTcbReservedZero } from '../../../attestation/snp/tcb.ts';
import { verifySnp } from '../../../attestation/snp/verify.ts';
import { concat, fixed, type Bytes } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import {
  TABLE_GUID,
  writeCertificateTable,
} from '../../../enclave-worker/evidence/simulator/snp/certificate-table.ts';
import { buildSnpCase, NOT_ASKED, type SnpFaults } from '../../support/snp/case.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';
import { withSubject } from '../../support/spoil.ts';

const pki = await createSnpTestPki();

function tcbWith(at: number): Bytes<8> {
  const raw = new Uint8Array(8);
  raw[at] = 1;
  return fixed(raw, 8);
}

describe('reserved bytes of a TCB version', () => {
  const reserved = { 0: [2, 3, 4, 5], 1: [4, 5, 6] } as const;
  for (const layout of [0, 1] as const) {
    test(`layout ${layout}: each of them, and no other`, () => {
      for (let at = 0; at < 8; at++) {
        const isReserved = reserved[layout].some((known) => known === at);
        assert.equal(isTcbReservedZero(tcbWith(at), layout), !isReserved, `byte ${at}`);
      }
    });
  }
});

/** First and last model of each range, and the neighbours that belong to nobody or to the next line. */
const MODELS: readonly (readonly [family: number, model: number, line: string | undefined])[] = [
  [0x19, 0x00, 'milan'],
  [0x19, 0x0f, 'milan'],
  [0x19, 0x10, 'genoa'],
  [0x19, 0x1f, 'genoa'],
  [0x19, 0x20, undefined],
  [0x19, 0x9f, undefined],
  [0x19, 0xa0, 'bergamo-siena'],
  [0x19, 0xaf, 'bergamo-siena'],
  [0x19, 0xb0, undefined],
  [0x1a, 0x00, 'turin'],
  [0x1a, 0x0f, 'turin'],
  [0x1a, 0x10, 'turin-dense'],
  [0x1a, 0x1f, 'turin-dense'],
  [0x1a, 0x20, undefined],
  [0x1a, 0x50, undefined],
  [0x18, 0x01, undefined],
  [0x1b, 0x01, undefined],
];

test('each model belongs to one silicon line or to none', () => {
  for (const [family, model, line] of MODELS) {
    const cpuid = { family, model, stepping: 1 };
    const product = productOfCpuid(cpuid);
    const got = product === undefined ? undefined : siliconLineOf(product, cpuid);
    assert.equal(got, line, `family ${family.toString(16)}h, model ${model.toString(16)}h`);
  }
});

describe('the entry that ends a certificate table', () => {
  const refused = (bytes: Uint8Array): void => {
    assert.throws(
      () => parseCertTable(bytes),
      (error) => hasCode(error, 'snp.certificate_table'),
    );
  };
  const { vcek: guid } = TABLE_GUID;
  const blob = Uint8Array.of(1, 2, 3);

  test('is zeros throughout: a GUID without offset and length ends nothing', () => {
    refused(writeCertificateTable([{ guid, bytes: blob, offset: 0, length: 0 }]));
  });

  test('is zeros throughout: an offset or a length beside no GUID ends nothing', () => {
    const none = '00000000-0000-0000-0000-000000000000';
    refused(writeCertificateTable([{ guid: none, bytes: blob, offset: 0 }]));
    const nameless = { guid: none, bytes: blob, length: 0 };
    assert.deepEqual(parseCertTable(writeCertificateTable([nameless, { guid, bytes: blob }])), {
      vcek: blob,
    });
  });

  test('comes after 64 others at most', () => {
    const other = { guid: 'ecae0c0f-9502-43b1-afa2-0ae2e0d565b6', bytes: blob };
    const many = (count: number): Uint8Array =>
      writeCertificateTable(Array.from({ length: count }, () => other));
    assert.deepEqual(parseCertTable(many(64)), {});
    refused(many(65));
  });

  test('stands in a table of 64 KiB at most, with certificates of 16 KiB at most', () => {
    const fits = writeCertificateTable([{ guid, bytes: new Uint8Array(16_384).fill(1) }]);
    const whole = concat(fits, new Uint8Array(65_536 - fits.length));
    assert.equal(parseCertTable(whole).vcek?.length, 16_384);
    refused(concat(whole, Uint8Array.of(0)));
    refused(writeCertificateTable([{ guid, bytes: new Uint8Array(16_385).fill(1) }]));
  });
});

test('of two certificates in a table, the one of the signing key is taken', async () => {
  const [chip, cloud] = await Promise.all([
    pki.sound({ product: 'Genoa', signer: 'vcek' }),
    pki.sound({ product: 'Genoa', signer: 'vlek' }),
  ]);
  for (const signer of ['vcek', 'vlek'] as const) {
    const evidence = await buildSnpCase(pki, {
      signer,
      table: (entries) => [
        { guid: TABLE_GUID.vlek, bytes: cloud.vek.der },
        { guid: TABLE_GUID.vcek, bytes: chip.vek.der },
        ...entries.slice(1),
      ],
      sent: () => ({}),
    });
    assert.equal(verifySnp(evidence).accepted, true, signer);
  }
});

async function failedBy(faults: SnpFaults): Promise<readonly string[]> {
  const { checks } = verifySnp(await buildSnpCase(pki, faults));
  return checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
}

const NO_CHIP = fixed(new Uint8Array(64), 64);
const SAYS_VLEK = (1 << 2) | 1;
const ANY_SIGNER = { signers: NOT_ASKED, chipIds: NOT_ASKED } as const;

test('a report of a VLEK that names no chip is not bound by a certificate of a chip', async () => {
  const faults = { report: { fields: { signerInfo: SAYS_VLEK, chipId: NO_CHIP } } };
  for (const maskedChipId of ['refuse', NOT_ASKED] as const) {
    const policy = { ...ANY_SIGNER, maskedChipId };
    assert.deepEqual(await failedBy({ ...faults, policy }), ['bind.signerKind']);
  }
});

test('a leaf of another name below the CA of clouds is none of the two', async () => {
  const faults: SnpFaults = {
    signer: 'vlek',
    chain: { vek: { profile: withSubject('SEV-OTHER') } },
  };
  assert.deepEqual(await failedBy(faults), ['chain.names', 'bind.signerKind']);
});
