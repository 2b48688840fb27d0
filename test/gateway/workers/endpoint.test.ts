/** E1: a worker's endpoint cannot point the gateway at itself, its network or a cloud's metadata. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../core/errors.ts';
import { addressIsAllowed, resolveEndpoint } from '../../../gateway/workers/endpoint.ts';

const FORBIDDEN_ALWAYS = [
  '0.0.0.0',
  '169.254.169.254',
  '192.0.0.192',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  'fd00:ec2::254',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '2001:db8::1',
];
const PRIVATE = [
  '127.0.0.1',
  '127.8.8.8',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '::1',
  'fd12:3456::1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::127.0.0.1',
];
const PUBLIC = ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111'];

for (const address of FORBIDDEN_ALWAYS) {
  test(`${address} is never a worker`, () => {
    assert.equal(addressIsAllowed(address, false), false);
    assert.equal(addressIsAllowed(address, true), false);
  });
}
for (const address of PRIVATE) {
  test(`${address} only where private endpoints are allowed`, () => {
    assert.equal(addressIsAllowed(address, false), false);
    assert.equal(addressIsAllowed(address, true), true);
  });
}
for (const address of PUBLIC) {
  test(`${address} is a place for a worker`, () =>
    assert.equal(addressIsAllowed(address, false), true));
}

const refusedAs = (reason: string) => (error: unknown) =>
  hasCode(error, 'registration.endpoint') && error.facts['reason'] === reason;

for (const [endpoint, reason] of [
  ['http://8.8.8.8:8443', 'form'],
  ['file:///etc/passwd', 'form'],
  ['unix:/run/x.sock', 'form'],
  ['https://user:pw@8.8.8.8:8443', 'form'],
  ['https://8.8.8.8:8443/path', 'form'],
  ['https://8.8.8.8:8443/?q', 'form'],
  ['https://8.8.8.8:22', 'port'],
  ['https://2130706433:8443', 'range'],
  ['https://0x7f.1:8443', 'range'],
  ['https://[::ffff:7f00:1]:8443', 'range'],
  ['https://169.254.169.254:8443', 'range'],
  ['nonsense', 'url'],
] as const) {
  test(`${endpoint} is refused (${reason})`, async () => {
    await assert.rejects(resolveEndpoint(endpoint, { allowPrivate: false }), refusedAs(reason));
  });
}

test('a name is refused when one of its addresses is forbidden', async () => {
  const resolve = () => Promise.resolve(['8.8.8.8', '127.0.0.1']);
  await assert.rejects(
    resolveEndpoint('https://worker.example:8443', { allowPrivate: false, resolve }),
    refusedAs('range'),
  );
});

test('a name that resolves elsewhere later changes nothing: the address is kept', async () => {
  let calls = 0;
  const resolve = () => Promise.resolve([++calls === 1 ? '8.8.8.8' : '127.0.0.1']);
  const rules = { allowPrivate: false, resolve };
  const endpoint = await resolveEndpoint('https://worker.example:8443', rules);
  assert.deepEqual(endpoint, { origin: 'https://worker.example:8443', address: '8.8.8.8' });
  assert.equal(calls, 1);
});

test('a name that does not resolve is refused', async () => {
  const resolve = () => Promise.reject(new Error('ENOTFOUND'));
  await assert.rejects(
    resolveEndpoint('https://worker.example:8443', { allowPrivate: false, resolve }),
    refusedAs('name'),
  );
});

test('metadata services and translated addresses stay forbidden where private ranges are allowed', () => {
  for (const address of [
    '168.63.129.16',
    '::ffff:168.63.129.16',
    '100.100.100.200',
    '::ffff:0:127.0.0.1',
    '::ffff:0:8.8.8.8',
  ]) {
    assert.equal(addressIsAllowed(address, true), false, address);
  }
});
