/** The diff of two policies in words: what each kind of change is called, and on which lines it stands. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicyFiles } from '../../../attestation/policy/compile.ts';
import { diffPolicies, widthOf, type Width } from '../../../attestation/policy/diff.ts';
import { utf8 } from '../../../core/bytes.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import {
  QUIET_SNP_RULE,
  quietDocument,
  quietImage,
  quietSnpImage,
  quietTuple,
} from '../../support/lint-policy.ts';
import { TEST_SNP_CPU } from '../../support/snp/worker-evidence.ts';
import { compileDocument, TEST_CPU, TEST_RULE } from '../../support/worker-evidence.ts';

type Overrides = Readonly<Record<string, Json>>;
const ANY: JsonObject = { any: true, note: 'trust me' };
const cpu = (members: JsonObject): Overrides => ({
  rules: [{ ...TEST_RULE, cpu: { ...TEST_CPU, ...members } }],
});
const snp = (members: JsonObject): Overrides => ({
  rules: [{ ...QUIET_SNP_RULE, cpu: { ...TEST_SNP_CPU, ...members } }],
  images: [quietSnpImage('snp-image')],
});
const ADVISORY: JsonObject = {
  id: 'INTEL-SA-01036',
  rules: ['test-rule'],
  admits: 'sw-hardening-needed',
  reason: 'mitigated',
  owner: 'alice',
  expires: '2026-08-01T00:00:00Z',
};
const HOST: JsonObject = {
  host: 'rack-1',
  cpu: { ppid: '0123456789abcdef0123456789abcdef' },
  gpus: [],
  switches: [],
  location: 'fra1',
  seen: '2026-06-01',
  by: ['alice', 'bob'],
  expires: '2026-08-01T00:00:00Z',
};
const LIMITS: JsonObject = {
  evidence_age: '1h',
  reattest_every: '1h',
  revocation_age: { gateway: '60s', client: '5m' },
  collateral_grace: '0s',
  challenge: 'required',
};
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
const REGISTRY = cpu({ platforms: { registry: 'hosts' } });

/** From the first to the second; the other direction has the other width, but where one is named. */
interface Row {
  readonly was: Overrides;
  readonly now: Overrides;
  readonly says: string;
  readonly width: Width;
  readonly back?: Width;
}

const ROWS: readonly Row[] = [
  {
    was: {},
    now: { rules: [] },
    says: '- rule test-rule  gone, with models test/model, images test-image',
    width: 'narrows',
  },
  {
    was: {},
    now: { expires: '2026-08-01T00:00:00Z' },
    says: '~ policy  expires: earlier, from 2026-08-20T00:00:00Z to 2026-08-01T00:00:00Z',
    width: 'narrows',
  },
  {
    was: {},
    now: { issued: '2026-06-02T00:00:00Z' },
    says: '~ policy  issued: later, from 2026-06-01T00:00:00Z to 2026-06-02T00:00:00Z',
    width: 'narrows',
  },
  {
    was: {},
    now: { serial: 2 },
    says: '~ policy  serial: now 2',
    width: 'neutral',
    back: 'neutral',
  },
  {
    was: {},
    now: { development: true },
    says: '+ policy  development: development: true added',
    width: 'widens',
  },
  {
    was: { rules: [{ ...TEST_RULE, gpu: GPU }] },
    now: { rules: [TEST_RULE] },
    says: '~ rule test-rule  gpu: no longer demanded',
    width: 'widens',
  },
  {
    was: { rules: [TEST_RULE] },
    now: { rules: [{ ...TEST_RULE, cpu: TEST_SNP_CPU }] },
    says: '~ rule test-rule  cpu.tee: from tdx to snp',
    width: 'widens',
    back: 'widens',
  },
  {
    was: {},
    now: { limits: { ...LIMITS, evidence_age: '2h' } },
    says: '~ policy  limits.evidence_age: longer, from 3600 s to 7200 s',
    width: 'widens',
  },
  {
    was: {},
    now: { limits: { ...LIMITS, revocation_age: ANY } },
    says: '~ policy  limits.revocation_age: no longer checked: trust me',
    width: 'widens',
  },
  {
    was: {},
    now: { limits: { ...LIMITS, challenge: 'gateway' } },
    says: '~ policy  limits.challenge: that of a gateway is enough for a client now',
    width: 'widens',
  },
  {
    was: {},
    now: cpu({ tcb_eval_number: { min: 20 } }),
    says: '~ rule test-rule  cpu.tcb_eval_number.min: floor raised from 19 to 20',
    width: 'narrows',
  },
  {
    was: {},
    now: cpu({ tcb_date: { min: '2024-01-01' } }),
    says: '~ rule test-rule  cpu.tcb_date.min: floor lowered from 2025-11-12 to 2024-01-01',
    width: 'widens',
  },
  {
    was: {},
    now: cpu({ platforms: ANY }),
    says: '~ rule test-rule  cpu.platforms: no longer checked: trust me',
    width: 'widens',
  },
  {
    was: cpu({ platforms: ANY }),
    now: cpu({ platforms: { any: true, note: 'other' } }),
    says: '~ rule test-rule  cpu.platforms: still not checked, another reason: other',
    width: 'neutral',
    back: 'neutral',
  },
  {
    was: {},
    now: REGISTRY,
    says: '~ rule test-rule  cpu.platforms: from {allow: {ppid: [11111111111111111111111111111111]}} to {registry: hosts}',
    width: 'widens',
    back: 'widens',
  },
  {
    was: {},
    now: cpu({ fmspc: { allow: ['c0ffee000000', 'c0ffee000001'] } }),
    says: '+ rule test-rule  cpu.fmspc.allow: c0ffee000001 added',
    width: 'widens',
  },
  {
    was: {},
    now: cpu({ fmspc: { allow: [] } }),
    says: '- rule test-rule  cpu.fmspc.allow: c0ffee000000 removed: the list is empty now',
    width: 'narrows',
  },
  {
    was: {},
    now: cpu({ xfam: { require: '0x0000000000000007', forbid: '0xfffffffffff92418' } }),
    says: '~ rule test-rule  cpu.xfam.require: more bits, from 0x0000000000000003 to 0x0000000000000007',
    width: 'narrows',
  },
  {
    was: {},
    now: {
      rules: [{ ...TEST_RULE, images: ['test-image', 'b'] }],
      images: [quietImage('test-image'), quietImage('b')],
    },
    says: '+ rule test-rule  images: b added',
    width: 'widens',
  },
  {
    was: {},
    now: { images: [quietImage('test-image'), quietImage('b')] },
    says: '+ image b  new, and no rule names it',
    width: 'neutral',
    back: 'neutral',
  },
  {
    was: {},
    now: { images: [quietImage('test-image', { expires: '2026-08-02T00:00:00Z' })] },
    says: '~ image test-image  expires: later, from 2026-08-01T00:00:00Z to 2026-08-02T00:00:00Z',
    width: 'widens',
  },
  {
    was: {},
    now: {
      images: [
        quietImage('test-image', {
          tdx: [quietTuple('test-image'), { ...quietTuple('x'), shape: 'large' }],
        }),
      ],
    },
    says: '+ image test-image  tdx: tuple of shape large added',
    width: 'widens',
  },
  {
    was: {},
    now: {
      images: [quietImage('test-image', { tdx: [{ ...quietTuple('test-image'), shape: 'tiny' }] })],
    },
    says: '~ image test-image  tdx.0.shape: from small to tiny, a label',
    width: 'neutral',
    back: 'neutral',
  },
  {
    was: {},
    now: { models: [{ id: 'test/model', weights: `sha256:${'ab'.repeat(32)}` }] },
    says: '~ model test/model  weights: from ',
    width: 'widens',
    back: 'widens',
  },
  {
    was: {},
    now: { advisories: [ADVISORY] },
    says: '+ advisory INTEL-SA-01036 for rule test-rule  admits sw-hardening-needed: mitigated (alice)',
    width: 'widens',
  },
  {
    was: { advisories: [ADVISORY] },
    now: { advisories: [{ ...ADVISORY, owner: 'bob' }] },
    says: '~ advisory INTEL-SA-01036 for rule test-rule  owner: now bob',
    width: 'neutral',
    back: 'neutral',
  },
  {
    was: { ...REGISTRY, hosts: [HOST] },
    now: { ...REGISTRY, hosts: [] },
    says: '- host rack-1  gone, ppid 0123456789abcdef0123456789abcdef',
    width: 'narrows',
  },
  {
    was: { ...REGISTRY, hosts: [{ ...HOST, gpus: ['0123456789abcdef', 'fedcba9876543210'] }] },
    now: { ...REGISTRY, hosts: [{ ...HOST, gpus: ['fedcba9876543210'] }] },
    says: '~ host rack-1  gpus: from [0123456789abcdef, fedcba9876543210] to [fedcba9876543210]',
    width: 'widens',
    back: 'widens',
  },
  {
    was: {},
    now: { hosts: [HOST] },
    says: '+ host rack-1  new, ppid 0123456789abcdef0123456789abcdef; no rule asks for hosts',
    width: 'neutral',
    back: 'neutral',
  },
  {
    was: snp({}),
    now: snp({ vmpl: [0, 1] }),
    says: '+ rule snp-rule  cpu.vmpl: 1 added',
    width: 'widens',
  },
  {
    was: snp({}),
    now: snp({ firmware: { min: '1.55.41' } }),
    says: '~ rule snp-rule  cpu.firmware.min: floor raised from ',
    width: 'narrows',
  },
  {
    was: snp({}),
    now: snp({ tcb: {} }),
    says: '- rule snp-rule  cpu.tcb: genoa removed: the list is empty now',
    width: 'narrows',
  },
];

const OPPOSITE: Readonly<Record<Width, Width>> = {
  widens: 'narrows',
  narrows: 'widens',
  neutral: 'neutral',
};

for (const { was, now, says, width, back = OPPOSITE[width] } of ROWS) {
  test(`${width}: ${says}`, () => {
    const [before, after] = [was, now].map((edit) => compileDocument(quietDocument(edit)));
    assert.ok(before !== undefined && after !== undefined);
    const changes = diffPolicies(before, after);
    const found = changes.find(({ mark, what, text }) =>
      `${mark} ${what}  ${text}`.startsWith(says),
    );
    assert.ok(found !== undefined, JSON.stringify(changes, undefined, 1));
    assert.equal(widthOf(found), width);
    const widest = diffPolicies(after, before).map(widthOf);
    assert.ok(widest.includes(back), widest.join());
  });
}

test('the lines of both versions are named, in their files', () => {
  const text = (serial: number, space: string): string =>
    `${space}${JSON.stringify(quietDocument({ serial, images: [] }), undefined, 1)}`;
  const image = JSON.stringify(quietImage('test-image'), undefined, 1);
  const later = image.replace('2026-08-01', '2026-08-02');
  const compile = (main: string, entry: string) =>
    compilePolicyFiles([
      { name: 'policy.yaml', bytes: utf8(main) },
      { name: 'images/test.yaml', bytes: utf8(entry) },
    ]);
  const [change] = diffPolicies(
    compile(text(1, ''), image),
    compile(text(2, '\n\n'), `\n${later}`),
  );
  const line = image.split('\n').findIndex((row) => row.includes('expires')) + 1;
  assert.deepEqual(
    [change?.was, change?.now],
    [`images/test.yaml:${line}`, `images/test.yaml:${line + 1}`],
  );
});

test('order, repetition, comments and files never show', () => {
  const images = [quietImage('test-image'), quietImage('b')];
  const rule = { ...TEST_RULE, images: ['test-image', 'b'] };
  const was = quietDocument({ rules: [rule], images });
  const now = quietDocument({
    rules: [{ ...rule, images: ['b', 'test-image', 'b'] }],
    images: images.toReversed(),
  });
  assert.deepEqual(diffPolicies(compileDocument(was), compileDocument(now)), []);
  const split = compilePolicyFiles([
    {
      name: 'policy.yaml',
      bytes: utf8(`# why\n${JSON.stringify({ ...was, images: [images[0] ?? {}] })}`),
    },
    { name: 'images/b.yaml', bytes: utf8(JSON.stringify(images[1])) },
  ]);
  assert.deepEqual(diffPolicies(compileDocument(was), split), []);
});

test('widening changes stand first', () => {
  const was = compileDocument(quietDocument());
  const now = compileDocument(
    quietDocument({ serial: 2, expires: '2026-08-01T00:00:00Z', ...cpu({ fmspc: ANY }) }),
  );
  assert.deepEqual(diffPolicies(was, now).map(widthOf), ['widens', 'narrows', 'neutral']);
});
