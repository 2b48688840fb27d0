/** The words on the command line: each that is wrong is said by name, before anything is opened. @module */

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Command } from 'commander';
import { fillDevelopmentPolicy } from '../../../attestation/policy/development.ts';
import { fixed } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { registerProxyCommand } from '../../../cli/proxy.ts';
import { settingsOf, trustOnly, type ProxyOptions } from '../../../cli/proxy/settings.ts';
import { bearerOf, newToken, tokenIn } from '../../../cli/proxy/token.ts';

const BASE = { host: '127.0.0.1', port: 0, concurrency: 1 } as const;

interface Files {
  readonly folder: string;
  readonly policy: string;
  readonly key: string;
}

function files(context: TestContext): Files {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-proxy-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const policy = join(folder, 'policy.yaml');
  writeFileSync(
    policy,
    fillDevelopmentPolicy(readFileSync('policies/development.yaml', 'utf8'), {
      rootsSha256: [fixed(new Uint8Array(32).fill(7), 32)],
      nowMs: systemClock(),
    }),
  );
  const key = join(folder, 'key');
  writeFileSync(key, 'vg_key\n', { mode: 0o600 });
  return { folder, policy, key };
}

const GATEWAY = 'https://gateway.test/v1';

test('a gateway and a policy are enough, and a key is read from its file', async (context) => {
  const { policy, key } = files(context);
  const settings = await settingsOf({ ...BASE, gateway: GATEWAY, policy, apiKeyFile: key });
  assert.equal(settings.gatewayUrl, 'https://gateway.test');
  assert.equal(settings.apiKey, 'vg_key');
  assert.ok(typeof settings.policy === 'object' && 'document' in settings.policy);
  assert.equal(settings.policy.document.name, 'development');
  assert.deepEqual(settings.payer, { kind: 'account' });
  assert.match(settings.token, /^vgproxy_[\w-]{43}$/);
});

test('a root goes with a memory of its own, in a folder of its owner', async (context) => {
  const { folder, policy } = files(context);
  const settings = await settingsOf({
    ...BASE,
    gateway: GATEWAY,
    policyRoot: policy,
    dir: join(folder, 'home'),
    publication: 'https://place.test',
  });
  assert.ok(typeof settings.policy === 'object' && 'root' in settings.policy);
  const { memory, publication } = settings.policy;
  assert.ok(typeof memory === 'string');
  assert.match(memory, /\/home\/policy\/[0-9a-f]{16}\.json$/);
  assert.equal(publication, 'https://place.test');
  assert.equal(statSync(join(folder, 'home', 'policy')).mode & 0o777, 0o700);
});

const WRONG: readonly (readonly [what: string, options: Partial<ProxyOptions>, code: RegExp])[] = [
  ['no gateway', { gateway: '' }, /client\.option/],
  ['a gateway in clear', { gateway: 'http://10.0.0.1' }, /client\.insecure_url/],
  ['a gateway with a password', { gateway: 'https://a:b@gateway.test' }, /client\.option/],
  ['an address that others reach', { host: '0.0.0.0' }, /proxy\.bind/],
  ['two policies', { policyRoot: '/x', policy: '/y' }, /proxy\.option: --policy-root or --policy/],
  ['a policy that is not there', { policy: '/none' }, /proxy\.option.*ENOENT/],
  ['a publication without a root', { publication: 'https://x' }, /proxy\.option.*--policy-root/],
  ['a memory without a root', { policyMemory: '/x' }, /proxy\.option.*--policy-root/],
  ['a channel that is not there', { channel: './none.json' }, /client\.channel_file.*not there/],
  ['a key that is not there', { apiKeyFile: '/none' }, /proxy\.key_file.*not there/],
  ['two payers', { channel: './x.json', apiKeyFile: '/x' }, /proxy\.option.*one of them pays/],
  ['a bound without a channel', { spendMax: '1' }, /proxy\.option.*about a channel/],
  ['chunks without a channel', { chunkTokens: 64 }, /proxy\.option.*about a channel/],
  ['an identity that is none', { gatewayId: 'me' }, /proxy\.option: --gateway-id/],
  ['a price that is none', { maxPrice: '1e3' }, /settlement\.amount/],
];

for (const [what, options, code] of WRONG) {
  test(`${what} is refused`, async (context) => {
    const { policy } = files(context);
    await assert.rejects(settingsOf({ ...BASE, gateway: GATEWAY, policy, ...options }), code);
  });
}

test('without a policy nothing starts', async () => {
  await assert.rejects(settingsOf({ ...BASE, gateway: GATEWAY }), /proxy\.option: whom to trust\?/);
});

test('without a gateway only a channel says which one', async (context) => {
  const { policy } = files(context);
  await assert.rejects(settingsOf({ ...BASE, policy }), /--gateway is needed/);
});

test('a key that others can read, or that is no key, is refused', async (context) => {
  const { key, policy } = files(context);
  const options = { ...BASE, gateway: GATEWAY, policy, apiKeyFile: key };
  writeFileSync(key, 'two words\n');
  await assert.rejects(settingsOf(options), /proxy\.key_file.*one line/);
  writeFileSync(key, 'vg_key\n');
  chmodSync(key, 0o640);
  await assert.rejects(settingsOf(options), /proxy\.key_file.*chmod 600/);
});

test('a token file is made for its owner, kept, and refused when others could have', (context) => {
  const { folder } = files(context);
  const path = join(folder, 'token');
  const token = tokenIn(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(tokenIn(path), token);
  chmodSync(path, 0o604);
  assert.throws(() => tokenIn(path), { code: 'proxy.token_file' });
  chmodSync(path, 0o600);
  writeFileSync(path, 'hunter2\n');
  assert.throws(() => tokenIn(path), /holds no token of this proxy/);
  symlinkSync(path, join(folder, 'link'));
  assert.throws(() => tokenIn(join(folder, 'link')), { code: 'proxy.token_file' });
  chmodSync(folder, 0o777);
  assert.throws(() => tokenIn(join(folder, 'another')), /others may write/);
  assert.throws(() => tokenIn(join(folder, 'none', 'token')), { code: 'proxy.token_file' });
});

test('only the whole token opens, as a bearer', () => {
  const token = newToken();
  const isToken = bearerOf(token);
  assert.ok(isToken(`Bearer ${token}`));
  assert.ok(isToken(`bearer  ${token}`));
  for (const given of [undefined, '', token, `Bearer ${newToken()}`, `Bearer ${token} `]) {
    assert.ok(!isToken(given), given);
  }
});

test('an authority is a certificate', (context) => {
  const { key } = files(context);
  assert.throws(() => trustOnly(key), /proxy\.option.*holds no certificate/);
  assert.throws(() => trustOnly('/none'), /proxy\.option.*ENOENT/);
});

test('docs/proxy.md names every option that there is, and no other', () => {
  const program = new Command();
  registerProxyCommand(program);
  const [command] = program.commands;
  const known = command?.options.map(({ long }) => long ?? '').sort() ?? [];
  const page = readFileSync('docs/proxy.md', 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `--'));
  const named = rows.flatMap((line) => {
    const [, cell = ''] = line.split(/(?<!\\)\|/);
    return cell.match(/--[a-z-]+/g) ?? [];
  });
  assert.deepEqual(named.sort(), known);
});
