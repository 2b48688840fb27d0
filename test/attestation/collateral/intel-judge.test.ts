/** Every reason for which a document or list of Intel's is not kept; in each case only that one thing is wrong. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  createIntelAuthority,
  type IntelAuthority,
} from '../../../attestation/collateral/intel-judge.ts';
import type { IntelItem } from '../../../attestation/collateral/items.ts';
import type { RawItem, Verified } from '../../../attestation/collateral/judge.ts';
import { pemOf } from '../../../attestation/collateral/text-forms.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { fromHex, fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { hasCode, VeilError } from '../../../core/errors.ts';
import { buildCase, type Faults } from '../../support/tdx/case.ts';
import { createTestPki, DAY_MS, NOW_MS, type TestPki } from '../../support/tdx/pki.ts';
import { numbersDocument } from '../../support/vendors/intel.ts';
import { intelAuthorityOf } from '../../support/vendors/lab.ts';

let pki: TestPki;
before(async () => {
  pki = await createTestPki();
});

const TCB_INFO: IntelItem = {
  kind: 'tdx-tcb-info',
  fmspc: 'c0ffee000000',
  edition: 'standard',
};
const QE_IDENTITY: IntelItem = { kind: 'tdx-qe-identity', edition: 'standard' };
const PCK_LIST: IntelItem = { kind: 'sgx-pck-crl', ca: 'platform' };
const ROOT_LIST: IntelItem = { kind: 'sgx-root-crl' };
const NUMBERS: IntelItem = { kind: 'tdx-evaluation-numbers' };

function rawOf(item: IntelItem, shown: TdxCollateral): RawItem {
  switch (item.kind) {
    case 'tdx-qe-identity':
      return { body: shown.qeIdentity, chain: shown.qeIdentityIssuerChain };
    case 'sgx-pck-crl':
      return { body: shown.pckCrl, chain: shown.pckCrlIssuerChain };
    case 'sgx-root-crl':
      return { body: shown.rootCaCrl, chain: '' };
    case 'tdx-tcb-info':
    case 'tdx-evaluation-numbers':
  }
  return { body: shown.tcbInfo, chain: shown.tcbInfoIssuerChain };
}

interface Judging {
  readonly faults?: Faults;
  readonly raw?: (raw: RawItem) => RawItem;
  readonly nowMs?: number;
  /** Trust the root of the sound hierarchy, whatever the case was made with. */
  readonly soundRoot?: true;
}

async function judged(item: IntelItem, how: Judging = {}): Promise<Verified> {
  const { collateral } = await buildCase(pki, how.faults);
  const authority: IntelAuthority =
    how.soundRoot === true
      ? createIntelAuthority(pki.sound.root.der)
      : intelAuthorityOf(collateral);
  const nowMs = how.nowMs ?? NOW_MS;
  const supports =
    item.kind === 'sgx-root-crl'
      ? []
      : [authority.judge(ROOT_LIST, rawOf(ROOT_LIST, collateral), { nowMs, supports: [] })];
  const raw = rawOf(item, collateral);
  return authority.judge(item, how.raw?.(raw) ?? raw, { nowMs, supports });
}

async function refusedFor(
  reason: string,
  item: IntelItem,
  how: Judging,
  code = 'collateral.invalid',
): Promise<void> {
  await assert.rejects(judged(item, how), (error) => {
    assert.ok(error instanceof VeilError);
    assert.equal(error.code, code, error.message);
    if (code === 'collateral.invalid') assert.equal(error.facts['reason'], reason);
    assert.equal(error.facts['kind'], item.kind);
    return true;
  });
}

test('what is sound is kept, rebuilt from what was verified', async () => {
  const { collateral } = await buildCase(pki);
  for (const item of [TCB_INFO, QE_IDENTITY, PCK_LIST, ROOT_LIST]) {
    const raw = rawOf(item, collateral);
    const authority = createIntelAuthority(pki.sound.root.der);
    const rootList = authority.judge(ROOT_LIST, rawOf(ROOT_LIST, collateral), {
      nowMs: NOW_MS,
      supports: [],
    });
    const supports = item.kind === 'sgx-root-crl' ? [] : [rootList];
    const verified = authority.judge(item, raw, { nowMs: NOW_MS, supports });
    assert.equal(toHex(verified.raw.body), toHex(raw.body), item.kind);
    assert.equal(verified.expiresAtMs, Date.UTC(2026, 6, 1), item.kind);
  }
});

test('what is kept does not change with the bytes it was read from', async () => {
  const { collateral } = await buildCase(pki);
  const authority = createIntelAuthority(pki.sound.root.der);
  const body = collateral.rootCaCrl.slice();
  const context = { nowMs: NOW_MS, supports: [] };
  const verified = authority.judge(ROOT_LIST, { body, chain: '' }, context);
  body.fill(0);
  assert.deepEqual(verified.raw.body, collateral.rootCaCrl);
});

for (const [item, fault] of [
  [TCB_INFO, 'tcbInfoKey'],
  [QE_IDENTITY, 'qeIdentityKey'],
  [PCK_LIST, 'pckCrlKey'],
  [ROOT_LIST, 'rootCrlKey'],
] as const) {
  test(`${item.kind}: signed by a stranger`, async () => {
    const faults = { collateral: { [fault]: pki.strangerKeys.privateKey } };
    await refusedFor('signature', item, { faults });
  });
}

for (const item of [TCB_INFO, QE_IDENTITY] as const) {
  test(`${item.kind}: changed after it was signed`, async () => {
    await refusedFor('signature', item, {
      raw: ({ body, chain }) => ({
        body: utf8(fromUtf8(body).replace('UpToDate', 'OutOfDate')),
        chain,
      }),
    });
  });
}

const DOCUMENT_INPUTS = { 'tdx-tcb-info': 'tcbInfoInput', 'tdx-qe-identity': 'qeIdentityInput' };

for (const item of [TCB_INFO, QE_IDENTITY] as const) {
  const input = DOCUMENT_INPUTS[item.kind];
  test(`${item.kind}: past its end, from the future, at both ends`, async () => {
    const dated = (issueMs: number, nextUpdateMs: number): Judging => ({
      faults: { collateral: { [input]: { issueMs, nextUpdateMs } } },
    });
    await refusedFor('', item, dated(NOW_MS - DAY_MS, NOW_MS - 1000), 'collateral.expired');
    await refusedFor('from the future', item, dated(NOW_MS + 1000, NOW_MS + DAY_MS));
    assert.equal((await judged(item, dated(NOW_MS, NOW_MS))).expiresAtMs, NOW_MS);
  });

  test(`${item.kind}: another evaluation number than asked for`, async () => {
    await refusedFor('another evaluation number', { ...item, edition: 18 }, {});
    assert.equal((await judged({ ...item, edition: 19 })).rank.number, 19n);
  });
}

for (const [item, fault] of [
  [PCK_LIST, 'pckCrl'],
  [ROOT_LIST, 'rootCrl'],
] as const) {
  const changed = (change: object): Judging => ({
    faults: { collateral: { [fault]: (profile: object) => ({ ...profile, ...change }) } },
  });

  test(`${item.kind}: past its end, from the future, at both ends`, async () => {
    const { expiresAtMs } = await judged(
      item,
      changed({ thisUpdateMs: NOW_MS, nextUpdateMs: NOW_MS }),
    );
    assert.equal(expiresAtMs, NOW_MS);
    await refusedFor('', item, changed({ nextUpdateMs: NOW_MS - 1000 }), 'collateral.expired');
    await refusedFor('from the future', item, changed({ thisUpdateMs: NOW_MS + 1000 }));
  });

  test(`${item.kind}: in the name of another issuer`, async () => {
    await refusedFor(
      'another issuer',
      item,
      changed({ issuer: { commonName: 'Intel SGX Other CA' } }),
    );
  });

  test(`${item.kind}: no list at all, and one with something behind it`, async () => {
    const body = (make: (body: Uint8Array) => Uint8Array): Judging => ({
      raw: (raw) => ({ ...raw, body: make(raw.body) }),
    });
    await refusedFor(
      'der.malformed',
      item,
      body(() => new Uint8Array()),
    );
    await refusedFor(
      'der.malformed',
      item,
      body((der) => new Uint8Array([...der, 0])),
    );
  });
}

test('a TCB info of another platform', async () => {
  await refusedFor('another FMSPC', { ...TCB_INFO, fmspc: 'c0ffee000001' }, {});
});

test('documents of another kind, in the place of the right one', async () => {
  for (const [name, value] of [
    ['id', 'SGX'],
    ['version', 2],
    ['tcbType', 1],
  ] as const) {
    await refusedFor('another kind', TCB_INFO, {
      faults: { collateral: { tcbInfo: (document) => ({ ...document, [name]: value }) } },
    });
  }
  for (const [name, value] of [
    ['id', 'QE'],
    ['version', 1],
  ] as const) {
    await refusedFor('another kind', QE_IDENTITY, {
      faults: { collateral: { qeIdentity: (document) => ({ ...document, [name]: value }) } },
    });
  }
});

test('a document that lacks a member, repeats one, or is none', async () => {
  await refusedFor('tdx.collateral', TCB_INFO, {
    faults: { collateral: { tcbInfo: ({ tcbLevels: _gone, ...rest }) => rest } },
  });
  await refusedFor('json.duplicate', TCB_INFO, {
    raw: ({ body, chain }) => ({
      body: utf8(fromUtf8(body).replace('{"tcbInfo":{', '{"tcbInfo":{"id":"TDX",')),
      chain,
    }),
  });
  await refusedFor('json.syntax', TCB_INFO, {
    raw: ({ body, chain }) => ({ body: body.subarray(0, body.length - 1), chain }),
  });
});

for (const item of [TCB_INFO, QE_IDENTITY, PCK_LIST] as const) {
  test(`${item.kind}: a chain of another length, or none`, async () => {
    const chain = (make: (pem: string) => string): Judging => ({
      raw: (raw) => ({ ...raw, chain: make(raw.chain) }),
    });
    await refusedFor(
      'issuer chain length',
      item,
      chain(() => ''),
    );
    await refusedFor(
      'issuer chain length',
      item,
      chain((pem) => pem + pem),
    );
    await refusedFor(
      'pem.malformed',
      item,
      chain((pem) => pem.slice(0, -4)),
    );
  });

  test(`${item.kind}: under another root`, async () => {
    const faults = { certificates: {} };
    await refusedFor('another root', item, {
      soundRoot: true,
      // The same keys and names, and a root certificate of its own: the pinned one is meant byte for byte.
      raw: (raw) => raw,
      faults,
    });
  });
}

test('a signer that the root did not sign', async () => {
  const signedBy = { tcbSigner: pki.strangerKeys };
  await refusedFor('not of the root', TCB_INFO, { faults: { certificates: { signedBy } } });
});

test('a signer that is none: a PCK certificate, a CA', async () => {
  const { pck, intermediate, root } = pki.sound;
  // Signed by the root in name and fact, so that only its role speaks against it.
  await refusedFor('signer role', TCB_INFO, {
    soundRoot: true,
    raw: ({ body }) => ({ body, chain: pemOf(intermediate.der, root.der) }),
  });
  await refusedFor('not of the root', TCB_INFO, {
    soundRoot: true,
    raw: ({ body }) => ({ body, chain: pemOf(pck.der, root.der) }),
  });
});

test('a signer past its end, and one before its beginning', async () => {
  await refusedFor(
    '',
    TCB_INFO,
    { faults: { certificates: { tcbSigner: (p) => ({ ...p, notAfterMs: NOW_MS - 1000 }) } } },
    'collateral.expired',
  );
  await refusedFor('issuer not yet valid', TCB_INFO, {
    faults: { certificates: { tcbSigner: (p) => ({ ...p, notBeforeMs: NOW_MS + 1000 }) } },
  });
});

test('a signer that repeats an extension', async () => {
  await refusedFor('repeated extension', TCB_INFO, {
    faults: {
      certificates: {
        tcbSigner: (p) => ({ ...p, extensions: [...p.extensions, ...p.extensions.slice(0, 1)] }),
      },
    },
  });
});

for (const [item, which] of [
  [TCB_INFO, 'tcbSigner'],
  [QE_IDENTITY, 'qeSigner'],
  [PCK_LIST, 'intermediate'],
] as const) {
  test(`${item.kind}: by somebody whom the root's list revokes`, async () => {
    await refusedFor('signer revoked', item, {
      faults: {
        collateral: {
          rootCrl: (profile, certificates) => ({
            ...profile,
            revoked: [{ serial: certificates[which].profile.serial, revokedMs: NOW_MS - DAY_MS }],
          }),
        },
      },
    });
  });
}

test('a root list that revokes the root', async () => {
  await refusedFor('root revoked', ROOT_LIST, {
    faults: {
      collateral: {
        rootCrl: (profile, { root }) => ({
          ...profile,
          revoked: [{ serial: root.profile.serial, revokedMs: NOW_MS - DAY_MS }],
        }),
      },
    },
  });
});

test('a list of the other CA', async () => {
  await refusedFor('another CA', { kind: 'sgx-pck-crl', ca: 'processor' }, {});
});

/** keyCertSign alone. */
const CERTIFICATES_ONLY = { oid: '2.5.29.15', critical: true, value: fromHex('03020204') };

test('a list by a CA that may not sign lists', async () => {
  await refusedFor('issuer may not sign lists', PCK_LIST, {
    faults: {
      certificates: {
        intermediate: (p) => ({
          ...p,
          extensions: p.extensions.map((known) =>
            known.oid === CERTIFICATES_ONLY.oid ? CERTIFICATES_ONLY : known,
          ),
        }),
      },
    },
  });
});

test('evaluation numbers of another kind, and with a broken date', async () => {
  const { body, chain } = await numbersDocument(
    pki,
    { issueMs: NOW_MS - DAY_MS, nextUpdateMs: NOW_MS + DAY_MS },
    [20, 19],
  );
  const verified = await judged(NUMBERS, { soundRoot: true, raw: () => ({ body, chain }) });
  assert.equal(verified.rank.number, 20n);
  await refusedFor('another kind', NUMBERS, {
    soundRoot: true,
    raw: (raw) => ({
      body: utf8(fromUtf8(raw.body).replace('"tcbInfo"', '"tcbEvaluationDataNumbers"')),
      chain: raw.chain,
    }),
  });
});

test('an authority whose root is no certificate is a mistake', () => {
  assert.throws(
    () => createIntelAuthority(utf8('root')),
    (error) => !hasCode(error, 'collateral.invalid'),
  );
});
