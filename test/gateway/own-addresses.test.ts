/** The names in the statement of an attested gateway are those that a client's URL has. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../core/errors.ts';
import { decodeConfig } from '../../core/node/config.ts';
import { GATEWAY_CONFIG, type GatewayConfigInput } from '../../gateway/config.ts';
import { askedHosts } from '../../gateway/own-addresses.ts';

function hostsOf(listen: GatewayConfigInput['listen']): readonly string[] {
  return askedHosts(decodeConfig(GATEWAY_CONFIG, { dataDir: '/nowhere', listen }));
}

test('each name and address as URL.hostname writes it, and once', () => {
  const hostNames = ['Gateway.Example', 'gateway.example', '::1', '[::1]', '0:0:0:0:0:0:0:2'];
  assert.deepEqual(hostsOf({ hostNames }), ['gateway.example', '[::1]', '[::2]']);
  assert.deepEqual(hostsOf({ hostNames: ['bücher.example'] }), ['xn--bcher-kva.example']);
  const baseUrls = ['https://Other.example:8443/'];
  assert.deepEqual(hostsOf({ baseUrls }), ['other.example']);
});

test('where nothing is named it is asked for where it listens', () => {
  assert.deepEqual(hostsOf({}), ['127.0.0.1']);
  assert.deepEqual(hostsOf({ host: '::1' }), ['[::1]']);
});

const REFUSED: readonly (readonly [what: string, listen: GatewayConfigInput['listen']])[] = [
  ['every interface alone', { host: '0.0.0.0' }],
  ['every interface of IPv6 alone', { host: '::' }],
  ['a port', { hostNames: ['gateway.example:8443'] }],
  ['a path', { hostNames: ['gateway.example/v1'] }],
  ['a user', { hostNames: ['somebody@gateway.example'] }],
  ['an empty name', { hostNames: [''] }],
];

for (const [what, listen] of REFUSED) {
  test(`${what} is no name that clients ask for`, () => {
    assert.throws(
      () => hostsOf(listen),
      (error) => hasCode(error, 'gateway.config'),
    );
  });
}
