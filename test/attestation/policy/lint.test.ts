/** Lint: each finding from the one mistake it is about, and silence where nothing is wrong. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { lintPolicyFiles } from '../../../attestation/policy/lint.ts';
import { LINT_KINDS, type LintId } from '../../../attestation/policy/lint/finding.ts';
import { POLICY_MAX_BYTES } from '../../../attestation/policy/yaml.ts';
import { utf8 } from '../../../core/bytes.ts';
import { parseInstant } from '../../../core/clock.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import {
  lintDocument,
  QUIET_SNP_RULE,
  quietDocument,
  quietImage,
  quietSnpImage,
  quietTuple,
} from '../../support/lint-policy.ts';
import { TEST_SNP_CPU } from '../../support/snp/worker-evidence.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';
import { TEST_CPU, TEST_RULE } from '../../support/worker-evidence.ts';

type Overrides = Readonly<Record<string, Json>>;

const anyWith = (note: string): JsonObject => ({ any: true, note });
const cpu = (members: JsonObject): Overrides => ({
  rules: [{ ...TEST_RULE, cpu: { ...TEST_CPU, ...members } }],
});
const snp = (members: JsonObject, more: JsonObject = {}): Overrides => ({
  rules: [{ ...QUIET_SNP_RULE, cpu: { ...TEST_SNP_CPU, ...members } }],
  images: [quietSnpImage('snp-image')],
  ...more,
});
const advisory: JsonObject = {
  id: 'INTEL-SA-01036',
  rules: ['test-rule'],
  admits: 'sw-hardening-needed',
  reason: 'mitigated',
  owner: 'alice@example.org',
  expires: '2026-08-01T00:00:00Z',
};
const host: JsonObject = {
  host: 'fra1-r07-u12',
  cpu: { ppid: '0123456789abcdef0123456789abcdef' },
  gpus: [],
  switches: [],
  location: 'fra1',
  seen: '2026-06-01',
  by: ['alice', 'bob'],
  expires: '2026-08-01T00:00:00Z',
};
const REGISTRY = { platforms: { registry: 'hosts' } };

const GPU: JsonObject = {
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
  devices: { registry: 'hosts' },
};

interface Row {
  readonly id: LintId;
  readonly what: string;
  readonly edit: Overrides;
  /** Unless this instant. */
  readonly at?: string;
  readonly says: RegExp;
}

const ROWS: readonly Row[] = [
  { id: 'policy.nobody', what: 'no rule', edit: { rules: [] }, says: /it has no rule/ },
  {
    id: 'policy.nobody',
    what: 'only rules that refuse',
    edit: { rules: [{ ...TEST_RULE, gpu: GPU }] },
    says: /every rule refuses/,
  },
  {
    id: 'policy.development',
    what: 'a development policy',
    edit: { development: true },
    says: /not for anybody/,
  },
  {
    id: 'policy.development',
    what: 'simulated roots',
    edit: { development: true, roots: [{ simulated: `sha256:${'ab'.repeat(32)}` }] },
    says: /protects nothing/,
  },
  {
    id: 'time.expired-policy',
    what: 'a policy that has expired',
    edit: {},
    at: '2026-08-20T00:00:00Z',
    says: /admits nobody/,
  },
  {
    id: 'time.not-yet',
    what: 'a policy of tomorrow',
    edit: { issued: '2026-06-16T12:00:00Z' },
    says: /nobody until then/,
  },
  {
    id: 'time.expired',
    what: 'an expired image',
    edit: {
      images: [quietImage('test-image'), quietImage('old', { expires: '2026-06-15T12:00:00Z' })],
    },
    says: /image old expired/,
  },
  {
    id: 'time.expired',
    what: 'an expired exception',
    edit: { advisories: [{ ...advisory, expires: '2026-06-10T00:00:00Z' }] },
    says: /advisory INTEL-SA-01036 expired/,
  },
  {
    id: 'time.expired',
    what: 'an expired host',
    edit: { hosts: [{ ...host, expires: '2026-06-10T00:00:00Z' }] },
    says: /host fra1-r07-u12 expired/,
  },
  {
    id: 'time.soon',
    what: 'an image that ends in a week',
    edit: { images: [quietImage('test-image', { expires: '2026-06-22T12:00:00Z' })] },
    says: /in 7 days/,
  },
  {
    id: 'time.soon',
    what: 'a policy that ends tomorrow',
    edit: {},
    at: '2026-08-19T00:00:00Z',
    says: /the policy expires .* in 1 day/,
  },
  {
    id: 'time.long',
    what: 'a policy for half a year',
    edit: { expires: '2026-12-01T00:00:00Z' },
    says: /the policy is granted for 183 days/,
  },
  {
    id: 'time.long',
    what: 'an image for long',
    edit: { images: [quietImage('test-image', { expires: '2026-09-01T00:00:00Z' })] },
    says: /image test-image is granted for 92 days/,
  },
  {
    id: 'time.long',
    what: 'an exception for long',
    edit: { advisories: [{ ...advisory, expires: '2026-09-01T00:00:00Z' }] },
    says: /advisory/,
  },
  {
    id: 'time.long',
    what: 'a host for long',
    edit: { hosts: [{ ...host, expires: '2027-06-01T00:00:00Z' }] },
    says: /host/,
  },
  {
    id: 'time.outlives',
    what: 'an image that lasts longer than the policy',
    edit: { images: [quietImage('test-image', { expires: '2026-08-21T00:00:00Z' })] },
    says: /the policy until 2026-08-20/,
  },
  {
    id: 'rule.empty',
    what: 'no models',
    edit: { rules: [{ ...TEST_RULE, models: [] }] },
    says: /admits nobody: models is empty/,
  },
  {
    id: 'rule.empty',
    what: 'no images',
    edit: { rules: [{ ...TEST_RULE, images: [] }] },
    says: /images is empty/,
  },
  {
    id: 'rule.empty',
    what: 'no platforms',
    edit: cpu({ platforms: { allow: { ppid: [] } } }),
    says: /cpu\.platforms\.allow\.ppid is empty/,
  },
  {
    id: 'rule.empty',
    what: 'no kinds of platform',
    edit: cpu({ fmspc: { allow: [] } }),
    says: /cpu\.fmspc\.allow is empty/,
  },
  {
    id: 'rule.empty',
    what: 'no modules',
    edit: cpu({ tdx_module: { identities: [], min_isvsvn: {}, mrsigner: 'intel' } }),
    says: /identities is empty/,
  },
  {
    id: 'rule.empty',
    what: 'no products',
    edit: snp({ products: [] }),
    says: /cpu\.products is empty/,
  },
  {
    id: 'rule.empty',
    what: 'a cloud’s key and no cloud',
    edit: snp({ signer: { allow: ['vlek'], csp_ids: [] }, platforms: anyWith('x') }),
    says: /csp_ids is empty/,
  },
  {
    id: 'rule.no-tuples',
    what: 'an image for the other kind of machine',
    edit: { images: [quietSnpImage('test-image')] },
    says: /none of its images has tuples for tdx/,
  },
  {
    id: 'rule.no-tuples',
    what: 'an image without tuples',
    edit: { images: [quietImage('test-image', { tdx: [] })] },
    says: /tuples for tdx/,
  },
  {
    id: 'rule.images-expired',
    what: 'only expired images',
    edit: { images: [quietImage('test-image', { expires: '2026-06-15T12:00:00Z' })] },
    says: /its last image expired/,
  },
  {
    id: 'rule.gpu',
    what: 'a demanded GPU',
    edit: { rules: [{ ...TEST_RULE, gpu: GPU }] },
    says: /not verified yet/,
  },
  {
    id: 'rule.no-hosts',
    what: 'a registry without machines',
    edit: cpu(REGISTRY),
    says: /no machine with a ppid/,
  },
  {
    id: 'rule.no-hosts',
    what: 'a registry of other machines',
    edit: snp(REGISTRY, { hosts: [host] }),
    says: /no machine with a chip_id/,
  },
  {
    id: 'rule.no-hosts',
    what: 'a registry of expired machines',
    edit: { ...cpu(REGISTRY), hosts: [{ ...host, expires: '2026-06-10T00:00:00Z' }] },
    says: /every ppid in hosts has expired/,
  },
  {
    id: 'rule.no-floor',
    what: 'a product without floors',
    edit: snp({ products: ['genoa', 'turin'] }),
    says: /refuses every turin/,
  },
  {
    id: 'rule.impossible',
    what: 'bits that must be set and must not',
    edit: cpu({ xfam: { require: '0x0000000000000003', forbid: '0x0000000000000002' } }),
    says: /requires and forbids 0x2/,
  },
  {
    id: 'rule.covered',
    what: 'the same rule twice',
    edit: { rules: [TEST_RULE, { ...TEST_RULE, id: 'again' }] },
    says: /rule again changes nothing: test-rule/,
  },
  {
    id: 'rule.covered',
    what: 'a narrower rule after a wider one',
    edit: {
      rules: [
        TEST_RULE,
        { ...TEST_RULE, id: 'again', cpu: { ...TEST_CPU, tcb_eval_number: { min: 20 } } },
      ],
    },
    says: /rule again/,
  },
  {
    id: 'unused.image',
    what: 'an image that no rule names',
    edit: { images: [quietImage('test-image'), quietImage('new')] },
    says: /no rule names image new/,
  },
  {
    id: 'unused.model',
    what: 'a model that no rule names',
    edit: { rules: [{ ...TEST_RULE, models: [] }] },
    says: /no rule names model test\/model/,
  },
  {
    id: 'unused.advisory',
    what: 'an exception for no rule',
    edit: { advisories: [{ ...advisory, rules: [] }] },
    says: /is for no rule/,
  },
  {
    id: 'unused.advisory',
    what: 'an exception for the other kind of machine',
    edit: snp({}, { advisories: [{ ...advisory, rules: ['snp-rule'] }] }),
    says: /no status to excuse/,
  },
  {
    id: 'unused.host',
    what: 'a host that nobody asks for',
    edit: { hosts: [host] },
    says: /no rule asks for host/,
  },
  {
    id: 'unused.floor',
    what: 'a floor without its product',
    edit: snp({
      tcb: {
        genoa: { bootloader: 10, tee: 0, snp: 23, microcode: 84, source: 'x' },
        milan: { bootloader: 4, tee: 0, snp: 29, microcode: 219, source: 'x' },
      },
    }),
    says: /floor for milan/,
  },
  {
    id: 'advisory.twice',
    what: 'an exception that stands twice',
    edit: { advisories: [advisory, { ...advisory, expires: '2026-07-20T00:00:00Z' }] },
    says: /excused twice/,
  },
  {
    id: 'floor.snp',
    what: 'microcode that EntrySign passes',
    edit: snp({ tcb: { genoa: { bootloader: 10, tee: 0, snp: 23, microcode: 83, source: 'x' } } }),
    says: /microcode 83 on genoa; AMD-SB-3019, AMD-SB-7033 \(EntrySign\) asks for 84/,
  },
  {
    id: 'floor.milan',
    what: 'Milan',
    edit: snp({
      products: ['milan'],
      tcb: { milan: { bootloader: 4, tee: 0, snp: 29, microcode: 219, source: 'x' } },
    }),
    says: /admits Milan/,
  },
  {
    id: 'floor.tdx',
    what: 'an old TCB recovery',
    edit: cpu({ tcb_eval_number: { min: 18 } }),
    says: /recovery 18; Intel serves 19/,
  },
  {
    id: 'floor.tdx',
    what: 'an old TCB day',
    edit: cpu({ tcb_date: { min: '2025-05-12' } }),
    says: /levels of 2025-05-12/,
  },
  {
    id: 'measurement.twice',
    what: 'one tuple in two images',
    edit: {
      rules: [{ ...TEST_RULE, images: ['test-image', 'b'] }],
      images: [quietImage('test-image'), quietImage('b', { tdx: [quietTuple('test-image')] })],
    },
    says: /the same tuple stands in image test-image \(.*\) and image b/,
  },
  {
    id: 'measurement.shared',
    what: 'one MRTD in two images',
    edit: {
      rules: [{ ...TEST_RULE, images: ['test-image', 'b'] }],
      images: [
        quietImage('test-image'),
        quietImage('b', {
          tdx: [{ ...quietTuple('b'), mrtd: quietTuple('test-image')['mrtd'] ?? '' }],
        }),
      ],
    },
    says: /MRTD of image b is that of image test-image/,
  },
  {
    id: 'placeholder.digest',
    what: 'weights of zeros',
    edit: { models: [{ id: 'test/model', weights: `sha256:${'0'.repeat(64)}` }] },
    says: /models\.0\.weights is one byte repeated/,
  },
  {
    id: 'placeholder.digest',
    what: 'a measurement of one byte',
    edit: {
      images: [quietImage('test-image', { tdx: [{ ...quietTuple('a'), mrtd: 'ab'.repeat(48) }] })],
    },
    says: /images\.0\.tdx\.0\.mrtd/,
  },
  {
    id: 'placeholder.commit',
    what: 'a commit of zeros',
    edit: { images: [quietImage('test-image', { source: { repo: 'x', commit: '0'.repeat(40) } })] },
    says: /commit of image test-image/,
  },
  {
    id: 'waived.strict',
    what: 'no evaluation number',
    edit: cpu({ tcb_eval_number: anyWith('later') }),
    says: /tcb_eval_number is not checked: later/,
  },
  {
    id: 'waived.strict',
    what: 'no word on revocations',
    edit: {
      limits: {
        evidence_age: '1h',
        reattest_every: '1h',
        revocation_age: anyWith('not yet'),
        collateral_grace: '0s',
        challenge: 'required',
      },
    },
    says: /limits\.revocation_age is not checked: not yet/,
  },
  {
    id: 'waived.check',
    what: 'any platform',
    edit: cpu({ platforms: anyWith('cloud') }),
    says: /rule test-rule: cpu\.platforms is not checked: cloud/,
  },
  {
    id: 'waived.check',
    what: 'a feature',
    edit: cpu({
      attributes: {
        debug: 'forbid',
        sept_ve_disable: 'require',
        migratable: 'forbid',
        perfmon: 'forbid',
        protection_keys: 'forbid',
        key_locker: 'forbid',
        lass: 'any',
        unknown_bits: 'forbid',
      },
    }),
    says: /cpu\.attributes\.lass is not checked$/,
  },
  {
    id: 'time.old-word',
    what: 'a day without word on revocations',
    edit: {
      limits: {
        evidence_age: '1h',
        reattest_every: '1h',
        revocation_age: { gateway: '60s', client: '1d' },
        collateral_grace: '0s',
        challenge: 'required',
      },
    },
    says: /a client goes on for 86400 s without word/,
  },
  {
    id: 'waived.silent',
    what: 'a mask without bits',
    edit: cpu({ xfam: { require: '0x0000000000000003', forbid: '0x0000000000000000' } }),
    says: /rule test-rule: everything meets cpu\.xfam\.forbid/,
  },
  {
    id: 'waived.silent',
    what: 'a module of any security version',
    edit: cpu({
      tdx_module: { identities: ['TDX_01'], min_isvsvn: { TDX_01: 0 }, mrsigner: 'intel' },
    }),
    says: /everything meets cpu\.tdx_module\.min_isvsvn\.TDX_01/,
  },
  {
    id: 'waived.silent',
    what: 'any firmware, as a floor',
    edit: snp({ firmware: { min: '0.0.0' } }),
    says: /everything meets cpu\.firmware\.min/,
  },
  {
    id: 'waived.silent',
    what: 'mitigations, and none of them',
    edit: snp({
      mitigations: {
        lines: { turin: { launch: '0x0000000000000000', current: '0x0000000000000000' } },
      },
    }),
    says: /everything meets cpu\.mitigations\.lines\.turin/,
  },
];

test('a sound production policy leaves lint silent', () => {
  assert.deepEqual(lintDocument(quietDocument()), []);
});

for (const { id, what, edit, at, says } of ROWS) {
  test(`${id}: ${what}`, () => {
    const nowMs = at === undefined ? NOW_MS : (parseInstant(at) ?? 0);
    const findings = lintDocument(quietDocument(edit), nowMs);
    const found = findings.filter((one) => one.id === id);
    assert.ok(
      found.some(({ message }) => says.test(message)),
      JSON.stringify(findings, undefined, 1),
    );
    for (const one of found) {
      assert.equal(one.level, LINT_KINDS[id].level);
      assert.match(one.at, /^test\.yaml:\d+$/);
    }
  });
}

const LOAD = [
  ['load.size', ' '.repeat(POLICY_MAX_BYTES + 1)],
  ['load.syntax', 'a: [\n'],
  ['load.schema', 'a: 1\n'],
  ['load.inconsistent', JSON.stringify(quietDocument({ images: [] }))],
] as const;

test('what does not load is found with its lines, all of them', () => {
  for (const [id, text] of LOAD) {
    const result = lintPolicyFiles([{ name: 'p.yaml', bytes: utf8(text) }], NOW_MS);
    assert.equal(result.policy, undefined);
    assert.deepEqual([...new Set(result.findings.map((one) => one.id))], [id]);
  }
  const text = readFileSync('policies/development.yaml', 'utf8')
    .replace('debug: forbid', 'debug: any')
    .replace('gpu: none', 'gpu: any');
  const { findings } = lintPolicyFiles([{ name: 'p.yaml', bytes: utf8(text) }], NOW_MS);
  assert.deepEqual(
    findings.map(({ at }) => at),
    ['debug: any', 'gpu: any'].map(
      (part) => `p.yaml:${text.split('\n').findIndex((line) => line.includes(part)) + 1}`,
    ),
  );
});

test('every id that lint can say is tested here', () => {
  const tested = new Set<string>([...ROWS.map(({ id }) => id), ...LOAD.map(([id]) => id)]);
  assert.deepEqual(
    Object.keys(LINT_KINDS).filter((id) => !tested.has(id)),
    [],
  );
});

test('errors stand first, notes last', () => {
  const findings = lintDocument(
    quietDocument({ ...cpu({ fmspc: anyWith('x') }), development: true }),
    parseInstant('2027-01-01T00:00:00Z') ?? 0,
  );
  const levels = findings.map(({ level }) => level);
  assert.deepEqual(
    levels,
    [...levels].sort((a, b) => 'ewn'.indexOf(a[0] ?? '') - 'ewn'.indexOf(b[0] ?? '')),
  );
  assert.ok(new Set(levels).size === 3);
});

test('a rule is not covered by one that is narrower, other or of another kind', () => {
  const others: readonly JsonObject[] = [
    { ...TEST_RULE, id: 'later', cpu: { ...TEST_CPU, tcb_eval_number: { min: 18 } } },
    {
      ...TEST_RULE,
      id: 'later',
      cpu: { ...TEST_CPU, platforms: { allow: { ppid: ['22'.repeat(16)] } } },
    },
    { ...QUIET_SNP_RULE, images: ['test-image'] },
  ];
  for (const later of others) {
    const findings = lintDocument(quietDocument({ rules: [TEST_RULE, later] }));
    assert.ok(!findings.some(({ id }) => id === 'rule.covered'), JSON.stringify(later));
  }
  const excused = {
    rules: [TEST_RULE, { ...TEST_RULE, id: 'later' }],
    advisories: [{ ...advisory, rules: ['later'] }],
  };
  assert.ok(!lintDocument(quietDocument(excused)).some(({ id }) => id === 'rule.covered'));
});

test('the floors and placeholders of a development policy are the simulator’s', () => {
  const weights = `sha256:${'0'.repeat(64)}`;
  const edit = {
    development: true,
    models: [{ id: 'test/model', weights }],
    ...cpu({ tcb_eval_number: { min: 1 } }),
  };
  const ids = lintDocument(quietDocument(edit)).map(({ id }) => id);
  assert.deepEqual(ids, ['policy.development']);
});
