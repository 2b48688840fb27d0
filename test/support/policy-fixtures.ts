/**
 * A policy and, for every check of a policy that can fail alone, one piece of evidence that fails exactly it: as a folder
 * that `veilgate policy test` runs. What is awkward to change in evidence is a stricter rule with an image of its own.
 * @module
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#primitives';
import { workerIdOf } from '../../attestation/card.ts';
import { encodeEvidence, type EvidenceBundle } from '../../attestation/evidence.ts';
import { kidOf, statementHash } from '../../attestation/statement.ts';
import { fixed, fromHex, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { SnpFaults } from './snp/case.ts';
import { createSnpTestPki, CSP_ID, PRODUCTS, type SnpTestPki } from './snp/pki.ts';
import {
  buildSnpEvidence,
  TEST_SNP_CPU,
  TEST_SNP_RULE,
  TEST_SNP_TUPLE,
} from './snp/worker-evidence.ts';
import { filled, svn, TCB_INFO, tdReport } from './tdx/case.ts';
import { createTestPki, NOW_MS, PCK_FACTS, type TestPki } from './tdx/pki.ts';
import {
  buildEvidence,
  TEST_CHALLENGE,
  TEST_CPU,
  TEST_IMAGE,
  TEST_RULE,
  TEST_TUPLE,
  TEST_WORKLOAD,
  testCard,
  testPolicyDocument,
  type EvidenceFaults,
} from './worker-evidence.ts';

const ANY = { any: true, note: 'not asked by this rule' };
const FLOOR = { ...PRODUCTS.Genoa.tcb, source: 'test' };
const MASKS = { launch: '0x000000000000000b', current: '0x000000000000000b' };
const OLD_MODULE = { identities: ['TDX_01'], min_isvsvn: { TDX_01: 3 }, mrsigner: 'intel' };

type Members = Readonly<Record<string, Json>>;

/** Rules that differ from the sound one, each for an image of its own, by the rule's name. */
const TDX_VARIANTS: Readonly<Record<string, Members>> = {
  'other-module': {
    tdx_module: { identities: ['TDX_03'], min_isvsvn: { TDX_03: 0 }, mrsigner: 'intel' },
  },
  'old-module': { tdx_module: OLD_MODULE, tcb_date: ANY },
  'other-xfam': { xfam: { require: '0x000000000000000b', forbid: '0x0000000000000000' } },
  'other-fmspc': { fmspc: { allow: ['00806f050000'] } },
  registered: { platforms: { registry: 'hosts' } },
};

const SNP_VARIANTS: Readonly<Record<string, Members>> = {
  cloud: { signer: { allow: ['vlek'], csp_ids: [CSP_ID] }, platforms: ANY },
  'other-cloud': { signer: { allow: ['vlek'], csp_ids: ['CN=elsewhere'] }, platforms: ANY },
  'without-masks': { mitigations: ANY },
  provisional: { provisional_firmware: 'any' },
  'other-chip': { platforms: { allow: { chip_id: ['11'.repeat(64)] } } },
};

const SNP_CPU: Members = {
  ...TEST_SNP_CPU,
  tcb: { genoa: FLOOR, milan: { ...PRODUCTS.Milan.tcb, source: 'test' } },
  mitigations: { lines: { genoa: MASKS, milan: MASKS } },
};

const GPU: Json = {
  vendor: 'nvidia',
  architectures: ['hopper'],
  shapes: [{ count: 1, mode: 'spt' }],
  method: 'local',
  driver: { allow: ['570.172.08'], min: '570.172.08' },
  vbios: { allow: ['96.00.9F.00.01'] },
  fwid: 'require',
  nonce: 'derived',
  ocsp: { device: 'require', reference: 'require', age: '24h', hold: 'deny' },
  reference: { sources: ['stapled'], signer_expired: 'deny' },
  devices: ANY,
};

function configOf(image: string): Bytes<32> {
  return image === 'test-image' ? TEST_WORKLOAD.config : sha256(utf8(`config of ${image}`));
}

function image(name: string, expires = '2026-08-01T00:00:00Z'): JsonObject {
  return {
    ...TEST_IMAGE,
    name,
    expires,
    workload: {
      image: `sha256:${toHex(TEST_WORKLOAD.image)}`,
      config: `sha256:${toHex(configOf(name))}`,
      engine: 'test',
    },
    tdx: [TEST_TUPLE],
    snp: [TEST_SNP_TUPLE],
  };
}

function document(roots: readonly Bytes<32>[]): JsonObject {
  const [root = sha256(new Uint8Array())] = roots;
  const variants = [...Object.keys(TDX_VARIANTS), ...Object.keys(SNP_VARIANTS)];
  const base = testPolicyDocument(root);
  return {
    ...base,
    issued: '2026-06-10T00:00:00Z',
    expires: '2026-06-20T00:00:00Z',
    roots: [...new Set(roots.map(toHex))].map((hex) => ({ simulated: `sha256:${hex}` })),
    limits: {
      evidence_age: '5m',
      reattest_every: '1h',
      revocation_age: { gateway: '60s', client: '5m' },
      collateral_grace: '0s',
      challenge: 'required',
    },
    rules: [
      { ...TEST_RULE, id: 'gpu', models: ['gpu/model'], gpu: GPU },
      { ...TEST_RULE, id: 'tdx', images: ['test-image', 'old-image'] },
      { ...TEST_SNP_RULE, id: 'snp', cpu: SNP_CPU },
      ...Object.entries(TDX_VARIANTS).map(([id, cpu]) => ({
        ...TEST_RULE,
        id,
        images: [id],
        cpu: { ...TEST_CPU, ...cpu },
      })),
      ...Object.entries(SNP_VARIANTS).map(([id, cpu]) => ({
        ...TEST_SNP_RULE,
        id,
        images: [id],
        cpu: { ...SNP_CPU, ...cpu },
      })),
    ],
    images: [
      image('test-image'),
      image('old-image', '2026-06-15T11:00:00Z'),
      ...variants.map((name) => image(name)),
    ],
    models: ['test/model', 'gpu/model'].map((id) => ({
      id,
      weights: `sha256:${toHex(TEST_WORKLOAD.model)}`,
    })),
  };
}

interface Circumstances {
  readonly at?: number;
  readonly heard?: string;
  readonly revoked?: readonly { readonly kind: string; readonly value: string }[];
}

interface Case extends Circumstances {
  readonly evidence: EvidenceBundle;
  readonly rootSha256: Bytes<32>;
}

type Build = () => Promise<Case>;

/** Every check that can fail alone, and what fails it. */
function cases(pki: TestPki, snpPki: SnpTestPki): Readonly<Record<string, Build>> {
  const tdx = async (faults: EvidenceFaults = {}, more: Circumstances = {}): Promise<Case> => ({
    ...(await buildEvidence(pki, faults)),
    ...more,
  });
  const snp = async (
    faults: SnpFaults = {},
    { image: name = 'test-image' }: { readonly image?: string } = {},
  ): Promise<Case> => {
    const workload = { ...TEST_WORKLOAD, config: configOf(name) };
    return await buildSnpEvidence(snpPki, { ...faults, statement: { workload } });
  };
  const runs = (name: string, faults: EvidenceFaults = {}): EvidenceFaults => ({
    ...faults,
    statement: { workload: { ...TEST_WORKLOAD, config: configOf(name) } },
  });
  const times = (nowMs: number): EvidenceFaults => ({
    statement: { iat: nowMs / 1000 - 30, exp: nowMs / 1000 + 570 },
  });
  const at = (nowMs: number): Promise<Case> => tdx(times(nowMs), { at: nowMs });
  const card = (id: string): EvidenceFaults => ({
    card: { model: { ...testCard().model, id } },
  });
  const td = (fields: NonNullable<EvidenceFaults['quote']>['td']): Promise<Case> =>
    tdx({ quote: { td: fields ?? {} } });
  const attributes = (hex: string): Promise<Case> => td({ tdAttributes: fixed(fromHex(hex), 8) });
  const report = (fields: NonNullable<SnpFaults['report']>['fields']): Promise<Case> =>
    snp({ report: { fields: fields ?? {} } });
  const revoked = (kind: string, value: string, faults: EvidenceFaults = {}): Promise<Case> =>
    tdx(faults, { revoked: [{ kind, value }] });
  const policyBit = (bit: number): Promise<Case> =>
    report({ policy: 0x3_0137n ^ (1n << BigInt(bit)) });
  const platformBit = (bit: number): Promise<Case> =>
    report({ platformInfo: 0x25n ^ (1n << BigInt(bit)) });
  const { extended } = tdReport(4);
  return {
    'policy.issued': () => at(Date.UTC(2026, 5, 9)),
    'policy.expires': () => at(Date.UTC(2026, 5, 20)),
    'policy.evidenceAge': () => tdx({}, { at: NOW_MS + 5 * 60_000 }),
    'revocation.fresh': () => tdx({}, { heard: formatInstant(NOW_MS - 60_000) }),
    'revocation.policy': () => revoked('policy', 'tested'),
    'revocation.cpu': () => revoked('cpu', toHex(PCK_FACTS.ppid)),
    'revocation.measurement': () => revoked('measurement', toHex(tdReport().mrTd)),
    'revocation.key': () => revoked('key', toHex(workerIdOf(testCard().owner))),
    'revocation.kid': async () => {
      const built = await buildEvidence(pki);
      const { kem, pk } = built.statement.keys.hpke;
      const value = toHex(kidOf(statementHash(built.evidence.statement), kem, pk));
      return { ...built, revoked: [{ kind: 'kid', value }] };
    },
    'revocation.rule': () => revoked('rule', 'tdx'),
    'revocation.image': () => revoked('image', 'test-image'),
    'workload.model': () => tdx(card('other/model')),
    'workload.weights': () => {
      const weights = sha256(utf8('other weights'));
      return tdx({
        card: { model: { ...testCard().model, weights } },
        statement: { workload: { ...TEST_WORKLOAD, model: weights } },
      });
    },
    'workload.image': () => tdx(runs('an image that nobody lists')),
    'workload.imageExpires': () => tdx(runs('old-image')),
    'gpu.evidence': () => tdx(card('gpu/model')),
    'cpu.measurements': () => td({ mrTd: filled(48, 9) }),
    'cpu.tcbStatus': () =>
      tdx(
        runs('old-module', {
          quote: { version: 5, body: 3, td: { teeTcbSvn: svn(3, 1, 4) } },
        }),
      ),
    'cpu.tcbStatus.current': () => {
      const { v15 } = tdReport(3);
      const older = { ...v15, mrServiceTd: filled(48, 0), teeTcbSvn2: svn(3, 1, 4) };
      return tdx(runs('old-module', { quote: { version: 5, body: 3, td: { v15: older } } }));
    },
    'cpu.tcbEvalNumber': () => tdx({ collateral: { tcbInfoInput: { evaluationNumber: 18 } } }),
    'cpu.tcbDate': () => {
      const [best, ...rest] = TCB_INFO.levels;
      const levels = best === undefined ? [] : [{ ...best, tcbDay: '2025-01-01' }, ...rest];
      return tdx({ collateral: { tcbInfoInput: { levels } } });
    },
    'cpu.module.identity': () => tdx(runs('other-module')),
    'cpu.module.isvsvn': () => {
      const modules = TCB_INFO.modules.map((module) => ({
        ...module,
        levels: module.levels.map((level) =>
          level.isvSvn === 5 ? { ...level, isvSvn: 4 } : level,
        ),
      }));
      return tdx({
        quote: { td: { teeTcbSvn: svn(4, 1, 4) } },
        collateral: { tcbInfoInput: { modules } },
      });
    },
    'cpu.mrseam': () => td({ mrSeam: filled(48, 9) }),
    'cpu.attributes.perfmon': () => attributes('0000001000000080'),
    'cpu.attributes.protectionKeys': () => attributes('0000005000000000'),
    'cpu.attributes.keyLocker': () => attributes('0000009000000000'),
    'cpu.attributes.lass': () => attributes('0000001800000000'),
    'cpu.xfam': () => tdx(runs('other-xfam')),
    'cpu.serviceTd': () =>
      tdx({
        quote: {
          version: 5,
          body: 4,
          td:
            extended === undefined
              ? {}
              : { extended: { ...extended, currentServiceTdHash: filled(48, 7) } },
        },
      }),
    'cpu.fmspc': () => tdx(runs('other-fmspc')),
    'cpu.platforms': () => tdx(runs('registered')),
    'cpu.product': () => snp({ product: 'Milan' }),
    'cpu.signer': () => snp({}, { image: 'cloud' }),
    'cpu.cspId': () => snp({ signer: 'vlek' }, { image: 'other-cloud' }),
    'cpu.reportVersion': () => snp({ report: { version: 3 } }, { image: 'without-masks' }),
    'cpu.vmpl': () => report({ vmpl: 1 }),
    'cpu.guestSvn': () => report({ guestSvn: 6 }),
    'cpu.abi': () => report({ policy: 0x3_0136n }),
    'cpu.guestPolicy.smt': () => policyBit(16),
    'cpu.guestPolicy.singleSocket': () => policyBit(20),
    'cpu.guestPolicy.cxlAllow': () => policyBit(21),
    'cpu.guestPolicy.memAes256Xts': () => policyBit(22),
    'cpu.guestPolicy.raplDis': () => policyBit(23),
    'cpu.guestPolicy.ciphertextHidingDram': () => policyBit(24),
    'cpu.guestPolicy.pageSwapDisable': () => policyBit(25),
    'cpu.platformInfo.smtEn': () => platformBit(0),
    'cpu.platformInfo.tsmeEn': () => platformBit(1),
    'cpu.platformInfo.eccEn': () => platformBit(2),
    'cpu.platformInfo.raplDis': () => platformBit(3),
    'cpu.platformInfo.ciphertextHidingDramEn': () => platformBit(4),
    'cpu.platformInfo.aliasCheckComplete': () => platformBit(5),
    'cpu.platformInfo.iommuWriteSafe': () => platformBit(6),
    'cpu.platformInfo.tioEn': () => platformBit(7),
    'cpu.platformInfo.unknownBits': () => platformBit(8),
    'cpu.tcbMinimum': () =>
      snp(
        { report: { fields: { committedTcb: { ...PRODUCTS.Genoa.tcb, snp: 22 } } } },
        { image: 'provisional' },
      ),
    'cpu.launchTcb': () => report({ launchTcb: { ...PRODUCTS.Genoa.tcb, microcode: 83 } }),
    'cpu.firmware': () => {
      const version = { major: 1, minor: 55, build: 39 };
      return report({ currentFirmware: version, committedFirmware: version });
    },
    'cpu.provisionalFirmware': () =>
      report({ currentFirmware: { major: 1, minor: 55, build: 41 } }),
    'cpu.mitigations.launch': () => report({ launchMitigations: 0x03n }),
    'cpu.mitigations.current': () => report({ currentMitigations: 0x03n }),
    'cpu.authorKey': () => report({ authorKeyDigest: filled(48, 9) }),
    'cpu.chipId': () => snp({}, { image: 'other-chip' }),
    admitted: () => tdx(),
    'admitted-snp': () => snp(),
    'admitted-cloud': () => snp({ signer: 'vlek' }, { image: 'cloud' }),
  };
}

export interface WrittenFixtures {
  readonly policy: string;
  readonly folder: string;
  readonly count: number;
}

/** Below `parent`: `policy.json` and the folder `fixtures`. */
export async function writePolicyFixtures(parent: string): Promise<WrittenFixtures> {
  const folder = join(parent, 'fixtures');
  mkdirSync(folder);
  const [pki, snpPki] = [await createTestPki(), await createSnpTestPki()];
  const built: (readonly [name: string, one: Case])[] = [];
  for (const [name, build] of Object.entries(cases(pki, snpPki))) built.push([name, await build()]);
  const tree = document(built.map(([, { rootSha256 }]) => rootSha256));
  const policy = join(parent, 'policy.json');
  writeFileSync(policy, JSON.stringify(tree, undefined, 2));
  for (const [name, one] of built) {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(encodeEvidence(one.evidence)));
    writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(fixtureOf(name, one)));
  }
  return { policy, folder, count: built.length };
}

function fixtureOf(name: string, { at, heard, revoked }: Case): JsonObject {
  const isAdmitted = name.startsWith('admitted');
  return {
    evidence: `${name}.json`,
    at: formatInstant(at ?? NOW_MS),
    challenge: toHex(TEST_CHALLENGE),
    ...(heard === undefined ? {} : { heard }),
    ...(revoked === undefined ? {} : { revoked }),
    expect: isAdmitted ? 'admitted' : 'denied',
    failing: isAdmitted ? [] : [name],
  };
}
