/**
 * Attack: the environment of an app names a proxy, and says that certificates are not looked at, as a container's owner or a
 * line in a profile can. Neither moves a request to an attested gateway anywhere else. @module
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { ask, openAttestedLab, startImpostor } from '../support/attested-lab.ts';
import { portOf } from '../support/relay.ts';

const SCRIPT = `
  import { attestedGatewayFetch } from './client/node/attested-gateway-fetch.ts';
  const [policy, gateway, url, init] = process.argv.slice(1);
  const app = attestedGatewayFetch({ policy, gateway });
  const { status, headers } = await app(url, JSON.parse(init));
  process.stdout.write(status + ' ' + headers.get('sx-privacy') + ' ' + headers.get('sx-error'));
  await app.close();
`;

async function run(
  policy: string,
  gateway: string,
  { asked: [url, init], proxy }: { readonly asked: ReturnType<typeof ask>; readonly proxy: string },
): Promise<string> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', SCRIPT, policy, gateway, url, JSON.stringify(init)],
    {
      env: {
        ...process.env,
        NODE_USE_ENV_PROXY: '1',
        HTTPS_PROXY: proxy,
        https_proxy: proxy,
        HTTP_PROXY: proxy,
        ALL_PROXY: proxy,
        NO_PROXY: '',
        no_proxy: '',
        NODE_TLS_REJECT_UNAUTHORIZED: '0',
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let said = '';
  child.stdout.on('data', (part: Uint8Array) => {
    said += new TextDecoder().decode(part);
  });
  await once(child, 'close');
  return said;
}

test('a proxy of the environment is not asked, and a stranger’s key is refused all the same', async () => {
  const lab = await openAttestedLab();
  const impostor = await startImpostor({ evidenceOf: lab.origin });
  let proxied = 0;
  const proxy = createServer().on('connection', (socket) => {
    proxied++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const named = { proxy: `http://127.0.0.1:${portOf(proxy)}` };
  try {
    const { policyFile, gateway } = lab;
    const honest = await run(policyFile, gateway.aud, { asked: ask(lab.origin), ...named });
    // The gateway’s own answer: it does not know the key of this account.
    assert.equal(honest, '401 gateway-tee null');
    const asked = ask(`https://localhost:${impostor.port}`);
    const refused = await run(policyFile, gateway.aud, { asked, ...named });
    assert.match(refused, /null client\.gateway_key$/);
    assert.equal(proxied, 0);
    assert.deepEqual(impostor.caught, []);
  } finally {
    await impostor.close();
    await lab.close();
    await new Promise<void>((resolve) => proxy.close(() => resolve()));
  }
});
