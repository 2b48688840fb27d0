/** SEV-SNP rules against facts: each member of a rule failing alone, whole tuples, and rules for two kinds of machine. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { appraise, appraiseApart, type Appraisal } from '../../../attestation/appraise.ts';
import { SNP_RULE_CHECK_IDS } from '../../../attestation/policy/snp-rule.ts';
import { newCaches } from '../../../attestation/tees.ts';
import type { Check } from '../../../attestation/verdict.ts';
import { fixed, toHex } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import { CSP_ID, createSnpTestPki, PRODUCTS, type SnpTestPki } from '../../support/snp/pki.ts';
import type { SnpFaults } from '../../support/snp/case.ts';
import {
  buildSnpEvidence,
  snpImage,
  TEST_SNP_CPU,
  TEST_SNP_RULE,
  TEST_SNP_TUPLE,
  type TestSnpEvidence,
} from '../../support/snp/worker-evidence.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';
import {
  idsOf,
  TEST_AUD,
  TEST_CHALLENGE,
  TEST_RULE,
  testPolicy,
  NOTHING_REVOKED,
} from '../../support/worker-evidence.ts';

let pki: SnpTestPki;
let sound: TestSnpEvidence;

before(async () => {
  pki = await createSnpTestPki();
  sound = await buildSnpEvidence(pki);
});

type Overrides = Readonly<Record<string, Json>>;

function inputFor({ evidence, rootSha256 }: TestSnpEvidence, overrides: Overrides) {
  return {
    evidence,
    policy: testPolicy(rootSha256, {
      rules: [TEST_SNP_RULE],
      images: [snpImage()],
      ...overrides,
    }),
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: { equals: TEST_CHALLENGE },
    revocations: NOTHING_REVOKED,
  };
}

function judge(overrides: Overrides = {}, built: TestSnpEvidence = sound): Appraisal {
  return appraise(inputFor(built, overrides));
}

function withCpu(cpu: Overrides): Overrides {
  return { rules: [{ ...TEST_SNP_RULE, cpu: { ...TEST_SNP_CPU, ...cpu } }] };
}

function misses(checks: readonly Check[]): readonly string[] {
  return [...idsOf(checks, 'fail'), ...idsOf(checks, 'skipped')];
}

async function missesOf(faults: SnpFaults, cpu: Overrides = {}): Promise<readonly string[]> {
  const { outcome, verdict } = judge(withCpu(cpu), await buildSnpEvidence(pki, faults));
  assert.equal(outcome === 'admitted', misses(verdict.checks).length === 0);
  return misses(verdict.checks);
}

test('sound evidence is admitted with nothing waived but the development root', () => {
  const result = judge();
  assert.deepEqual(misses(result.verdict.checks), []);
  assert.deepEqual(idsOf(result.verdict.checks, 'waived'), ['policy.simulated']);
  assert.ok(result.outcome === 'admitted');
  assert.equal(result.key.tee, 'snp');
  assert.equal(result.key.simulated, true);
  assert.equal(result.verdict.shape, 'small');
  assert.equal(result.verdict.platform?.ids['chipId'], toHex(PRODUCTS.Genoa.chipId));
  assert.equal(result.verdict.tcbStatus, 'bootloader 10, tee 0, snp 23, microcode 84');
});

test('verifying apart, with and without memory, changes nothing about the answer', async () => {
  const plain = judge();
  const caches = newCaches();
  for (const given of [{}, { caches }, { caches }]) {
    const apart = await appraiseApart({ ...inputFor(sound, {}), ...given });
    assert.deepEqual(apart, plain);
  }
  const forged = await buildSnpEvidence(pki, { report: { key: pki.strangerVek.privateKey } });
  const apart = await appraiseApart({ ...inputFor(forged, {}), caches });
  assert.deepEqual(apart, judge({}, forged));
  assert.deepEqual(idsOf(apart.verdict.checks, 'fail'), ['report.signature']);
});

const GUEST = TEST_SNP_CPU['guest_policy'] ?? {};
const PLATFORM = TEST_SNP_CPU['platform_info'] ?? {};

function flipped(rules: Json, name: string): JsonObject {
  const entries = Object.entries(Object.assign({}, rules));
  const turned = entries.map(([key, value]): readonly [string, Json] => [
    key,
    key === name ? (value === 'forbid' ? 'require' : 'forbid') : String(value),
  ]);
  return Object.fromEntries(turned);
}

const FLOOR = { ...PRODUCTS.Genoa.tcb, source: 'test' };

/** A stricter line of the rule fails alone on evidence that is sound otherwise. */
const STRICTER: readonly (readonly [id: string, cpu: Overrides])[] = [
  ['cpu.product', { products: ['turin'] }],
  ['cpu.product', { products: [] }],
  ['cpu.signer', { signer: { allow: ['vlek'], csp_ids: [] } }],
  ['cpu.signer', { signer: { allow: [], csp_ids: [] } }],
  ['cpu.vmpl', { vmpl: [1] }],
  ['cpu.vmpl', { vmpl: [] }],
  ['cpu.guestSvn', { guest_svn: { min: 8 } }],
  ['cpu.abi', { abi: { min: '1.56' } }],
  ['cpu.abi', { abi: { min: '2.0' } }],
  ['cpu.firmware', { firmware: { min: '1.55.41' } }],
  [
    'cpu.mitigations.launch',
    {
      mitigations: {
        lines: { genoa: { launch: '0x0000000000000004', current: '0x0000000000000000' } },
      },
    },
  ],
  [
    'cpu.mitigations.current',
    {
      mitigations: {
        lines: { genoa: { launch: '0x0000000000000000', current: '0x0000000000000004' } },
      },
    },
  ],
  ['cpu.authorKey', { author_keys: { allow: ['00'.repeat(48)] } }],
  ['cpu.authorKey', { author_keys: { allow: [] } }],
  ['cpu.chipId', { platforms: { allow: { chip_id: ['11'.repeat(64)] } } }],
  ['cpu.chipId', { platforms: { allow: { chip_id: [] } } }],
  ...[
    ['smt', 'smt'],
    ['single_socket', 'singleSocket'],
    ['cxl_allow', 'cxlAllow'],
    ['mem_aes_256_xts', 'memAes256Xts'],
    ['rapl_dis', 'raplDis'],
    ['ciphertext_hiding_dram', 'ciphertextHidingDram'],
    ['page_swap_disable', 'pageSwapDisable'],
  ].map(([member = '', name]): readonly [string, Overrides] => [
    `cpu.guestPolicy.${name}`,
    { guest_policy: flipped(GUEST, member) },
  ]),
  ...[
    ['smt_en', 'smtEn'],
    ['tsme_en', 'tsmeEn'],
    ['ecc_en', 'eccEn'],
    ['rapl_dis', 'raplDis'],
    ['ciphertext_hiding_dram_en', 'ciphertextHidingDramEn'],
    ['alias_check_complete', 'aliasCheckComplete'],
    ['iommu_write_safe', 'iommuWriteSafe'],
    ['tio_en', 'tioEn'],
  ].map(([member = '', name]): readonly [string, Overrides] => [
    `cpu.platformInfo.${name}`,
    { platform_info: flipped(PLATFORM, member) },
  ]),
];

for (const [id, cpu] of STRICTER) {
  test(`${JSON.stringify(cpu).slice(0, 120)} refuses by ${id} alone`, () => {
    const { outcome, verdict } = judge(withCpu(cpu));
    assert.equal(outcome, 'denied');
    assert.deepEqual(misses(verdict.checks), [id]);
    const failed = verdict.checks.find((check) => check.id === id);
    assert.ok(failed?.outcome === 'fail');
    assert.match(failed.at ?? '', /^test\.yaml:\d+$/, 'names its line');
  });
}

for (const [name, value] of Object.entries(PRODUCTS.Genoa.tcb)) {
  test(`a higher floor of ${name} refuses what runs and what the guest was launched on`, () => {
    const { verdict } = judge(withCpu({ tcb: { genoa: { ...FLOOR, [name]: value + 1 } } }));
    assert.deepEqual(misses(verdict.checks), ['cpu.tcbMinimum', 'cpu.launchTcb']);
  });
}

test('a silicon line without a floor fails by that, for launch too', () => {
  const { verdict } = judge(withCpu({ tcb: { 'genoa-x': FLOOR } }));
  assert.deepEqual(misses(verdict.checks), ['cpu.tcbFloor', 'cpu.launchTcb', 'cpu.tcbMinimum']);
});

test('a silicon line without masks fails both mitigation checks', () => {
  const mask = '0x0000000000000000';
  const { verdict } = judge(
    withCpu({ mitigations: { lines: { turin: { launch: mask, current: mask } } } }),
  );
  assert.deepEqual(misses(verdict.checks), ['cpu.mitigations.launch', 'cpu.mitigations.current']);
});

test('a guest launched on an older TCB fails by its launch alone', async () => {
  const launchTcb = { ...PRODUCTS.Genoa.tcb, microcode: 83 };
  assert.deepEqual(await missesOf({ report: { fields: { launchTcb } } }), ['cpu.launchTcb']);
});

test('a committed TCB below the floor fails, whatever runs', async () => {
  const committedTcb = { ...PRODUCTS.Genoa.tcb, snp: 22 };
  assert.deepEqual(
    await missesOf({ report: { fields: { committedTcb } } }, { provisional_firmware: 'any' }),
    ['cpu.tcbMinimum'],
  );
});

test('firmware that can still be taken back is refused where the rule says so', async () => {
  const currentFirmware = { major: 1, minor: 55, build: 41 };
  assert.deepEqual(await missesOf({ report: { fields: { currentFirmware } } }), [
    'cpu.provisionalFirmware',
  ]);
});

test('a platform bit that nobody has explained is refused', async () => {
  assert.deepEqual(await missesOf({ report: { fields: { platformInfo: 0x125n } } }), [
    'cpu.platformInfo.unknownBits',
  ]);
});

test('an older report version is refused where the rule asks for more', async () => {
  assert.deepEqual(
    await missesOf(
      {
        report: {
          fields: { version: 3, launchMitigations: 0n, currentMitigations: 0n },
        },
      },
      { mitigations: { any: true, note: 'not in version 3' } },
    ),
    ['cpu.reportVersion'],
  );
});

test('a cloud’s key counts for the clouds that are named, and for no single chip', async () => {
  const any = { any: true, note: 'a cloud names no chip' };
  const named = { signer: { allow: ['vlek'], csp_ids: [CSP_ID] }, platforms: any };
  assert.deepEqual(await missesOf({ signer: 'vlek' }, named), []);
  const other = { signer: { allow: ['vlek'], csp_ids: [`${CSP_ID}x`] }, platforms: any };
  assert.deepEqual(await missesOf({ signer: 'vlek' }, other), ['cpu.cspId']);
  const chips = { signer: { allow: ['vlek'], csp_ids: [CSP_ID] } };
  assert.deepEqual(await missesOf({ signer: 'vlek' }, chips), ['cpu.chipId']);
});

test('what no rule can allow is refused under every rule', async () => {
  const debug = { report: { fields: { policy: 0x3_0137n | (1n << 19n) } } };
  assert.deepEqual(await missesOf(debug), ['policy.guestPolicy.debug']);
  const migration = { report: { fields: { policy: 0x3_0137n | (1n << 18n) } } };
  assert.deepEqual(await missesOf(migration), ['policy.guestPolicy.migrateMa']);
  const masked = { report: { fields: { chipId: fixed(new Uint8Array(64), 64) } } };
  const any = { any: true, note: 'any' };
  assert.ok((await missesOf(masked, { platforms: any })).includes('policy.maskedChipId'));
  const sent: SnpFaults['sent'] = ({ crl: _crl, ...rest }) => rest;
  assert.ok((await missesOf({ sent })).includes('crl.present'));
});

for (const member of ['measurement', 'host_data', 'id_key_digest']) {
  test(`another ${member} is another tuple`, () => {
    const size = member === 'host_data' ? 32 : 48;
    const tuple = { ...TEST_SNP_TUPLE, [member]: '5a'.repeat(size) };
    const { verdict } = judge({ images: [snpImage([tuple])] });
    assert.deepEqual(misses(verdict.checks), ['cpu.measurements']);
    const failed = verdict.checks.find(({ id }) => id === 'cpu.measurements');
    assert.ok(failed?.outcome === 'fail');
    assert.match(failed.want, new RegExp(`^test-image/small: ${member} 5a5a`));
  });
}

test('members of two tuples never combine', () => {
  const one = { ...TEST_SNP_TUPLE, shape: 'one', host_data: 'zero' };
  const two = { ...TEST_SNP_TUPLE, shape: 'two', measurement: '5a'.repeat(48) };
  const { verdict } = judge({ images: [snpImage([one, two])] });
  assert.deepEqual(misses(verdict.checks), ['cpu.measurements']);
});

test('an image without SNP tuples admits no SNP machine', () => {
  const { verdict } = judge({ images: [snpImage([])] });
  assert.deepEqual(misses(verdict.checks), ['cpu.measurements']);
});

test('a rule for another kind of machine is skipped over by name', () => {
  const { verdict } = judge({
    rules: [{ ...TEST_RULE, images: ['test-image'] }],
  });
  assert.deepEqual(idsOf(verdict.checks, 'fail'), ['cpu.tee']);
  const skipped = verdict.checks.filter(({ outcome }) => outcome === 'skipped');
  assert.deepEqual(
    skipped.map(({ id }) => id),
    SNP_RULE_CHECK_IDS,
  );
  assert.ok(skipped.every((check) => check.outcome === 'skipped' && check.because === 'cpu.tee'));
});

test('of rules for two kinds of machine the fitting one admits', () => {
  const { outcome, verdict } = judge({ rules: [TEST_RULE, TEST_SNP_RULE] });
  assert.equal(outcome, 'admitted');
  assert.equal(verdict.rule, 'test-snp-rule');
});

test('AMD’s roots are not enough for a development root, nor a TDX root for an SNP chain', () => {
  const { evidence } = sound;
  const input = { ...inputFor(sound, {}), evidence };
  const other = testPolicy(fixed(new Uint8Array(32).fill(7), 32), {
    rules: [TEST_SNP_RULE],
    images: [snpImage()],
  });
  const { verdict } = appraise({ ...input, policy: other });
  assert.deepEqual(idsOf(verdict.checks, 'fail').slice(0, 1), ['chain.root']);
});

const WRONG: readonly (readonly [what: RegExp, overrides: Overrides])[] = [
  [
    /tcb\.genoa\.fmc: only Turin has this component/,
    withCpu({ tcb: { genoa: { ...FLOOR, fmc: 1 } } }),
  ],
  [/tcb\.turin\.fmc: missing|tcb\.turin\.fmc: want a floor/, withCpu({ tcb: { turin: FLOOR } })],
  [/firmware/, withCpu({ firmware: { min: '1.55' } })],
  [/guest_policy\.debug/, withCpu({ guest_policy: { ...Object(GUEST), debug: 'any' } })],
  [/masked_chip_id/, withCpu({ masked_chip_id: 'any' })],
  [/crl/, withCpu({ crl: 'any' })],
  [
    /platform_info\.unknown_bits/,
    withCpu({ platform_info: { ...Object(PLATFORM), unknown_bits: 'any' } }),
  ],
  [/images\.0\.mrowner: only beside tdx/, { images: [{ ...snpImage(), mrowner: 'zero' }] }],
];

for (const [what, overrides] of WRONG) {
  test(`a policy with the mistake ${what.source} does not load`, () => {
    assert.throws(
      () => inputFor(sound, overrides),
      (error) => hasCode(error, 'policy.schema') && what.test(error.message),
    );
  });
}

test('an image for no kind of machine does not load', () => {
  const { snp: _snp, ...nothing } = snpImage();
  assert.throws(
    () => inputFor(sound, { images: [nothing] }),
    (error) => hasCode(error, 'policy.schema') && /want tdx, snp or both/.test(error.message),
  );
});
