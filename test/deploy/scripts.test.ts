/** The programs in deploy/ that images run: what they leave, and what they call healthy. @module */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { selfSign } from '../../attestation/x509.ts';
import { systemClock } from '../../core/clock.ts';
import { startService } from '../support/deploy/service.ts';

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-scripts-'));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

suite('keep-packages', () => {
  /** As npm installs it: `b` twice, because `a` wants another one. */
  const LOCK = {
    packages: {
      '': {},
      'node_modules/a': { dependencies: { b: '1' }, optionalDependencies: { fast: '1' } },
      'node_modules/a/node_modules/b': { dependencies: { c: '1' } },
      'node_modules/b': { dependencies: { d: '1' } },
      'node_modules/c': {
        peerDependencies: { peer: '1', tool: '1' },
        peerDependenciesMeta: { tool: { optional: true } },
      },
      'node_modules/d': {},
      'node_modules/fast': {},
      'node_modules/@scope/e': { dependencies: { a: '1' } },
      'node_modules/peer': {},
      'node_modules/tool': {},
    },
  };
  const PLACES = Object.keys(LOCK.packages).filter((place) => place !== '');

  function keep(context: TestContext, ...names: readonly string[]) {
    const cwd = temporaryFolder(context);
    for (const place of [...PLACES, 'node_modules/.bin']) {
      mkdirSync(join(cwd, place), { recursive: true });
      writeFileSync(join(cwd, place, 'package.json'), '{}');
    }
    writeFileSync(join(cwd, 'package-lock.json'), JSON.stringify(LOCK));
    const { status, stderr } = spawnSync(
      process.execPath,
      [resolve('deploy/keep-packages.mjs'), ...names],
      { cwd, encoding: 'utf8', timeout: 20_000 },
    );
    const kept = PLACES.filter((place) => existsSync(join(cwd, place, 'package.json')));
    return { status, stderr, kept, bin: existsSync(join(cwd, 'node_modules/.bin')) };
  }

  test('keeps what is named and what that needs, as Node resolves it, and nothing else', (context) => {
    const { status, kept, bin } = keep(context, 'a');
    assert.equal(status, 0);
    assert.equal(bin, false);
    assert.deepEqual(kept, [
      'node_modules/a',
      'node_modules/a/node_modules/b',
      'node_modules/c',
      'node_modules/peer',
    ]);
  });

  test('keeps an optional one that is named', (context) => {
    assert.ok(keep(context, '@scope/e', 'fast').kept.includes('node_modules/fast'));
  });

  test('takes the package at the top for who has none of its own', (context) => {
    assert.deepEqual(keep(context, 'b').kept, ['node_modules/b', 'node_modules/d']);
  });

  test('deletes nothing when a name is not in the lock', (context) => {
    const { status, stderr, kept } = keep(context, 'a', 'aa');
    assert.equal(status, 1);
    assert.match(stderr, /^aa is not in package-lock.json/);
    assert.deepEqual(kept, PLACES);
  });
});

suite('healthcheck', () => {
  async function check(...words: readonly string[]): Promise<number | string> {
    await using run = startService(['deploy/healthcheck.mjs', ...words]);
    return (await run.ended).status;
  }

  async function portOf(context: TestContext, server: Server): Promise<number> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    context.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    return address.port;
  }

  test('looks at the status, in clear and over TLS with whatever certificate', async (context) => {
    const { certificatePem, privateKeyPem } = await selfSign({
      keys: await generateP256(),
      commonName: 'anybody',
      notBeforeMs: systemClock() - 60_000,
      notAfterMs: systemClock() + 60_000,
    });
    const plain = await portOf(
      context,
      createServer((_, response) => response.writeHead(503).end()),
    );
    const tls = await portOf(
      context,
      createTlsServer({ cert: certificatePem, key: privateKeyPem }, (_, response) =>
        response.writeHead(200).end(),
      ),
    );
    assert.equal(await check(`http://127.0.0.1:${plain}/`), 1);
    assert.equal(await check(`http://127.0.0.1:${plain}/`, '503'), 0);
    assert.equal(await check(`https://127.0.0.1:${tls}/`), 0);
    assert.equal(await check(`https://127.0.0.1:${tls}/`, '401'), 1);
  });

  test('nobody there is not healthy, and neither is a silent one', async (context) => {
    const server = createServer();
    const port = await portOf(context, server);
    assert.equal(await check(`http://127.0.0.1:${port}/`), 1);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    assert.equal(await check(`http://127.0.0.1:${port}/`), 1);
    assert.equal(await check('http://127.0.0.1:99999/'), 1);
  });

  test('a file is healthy while it is young', async (context) => {
    const path = join(temporaryFolder(context), 'timestamp.json');
    assert.equal(await check(path, '60'), 1);
    writeFileSync(path, '{}');
    assert.equal(await check(path, '60'), 0);
    const hourAgoS = systemClock() / 1000 - 3600;
    utimesSync(path, hourAgoS, hourAgoS);
    assert.equal(await check(path, '60'), 1);
    assert.equal(await check(path), 1);
    assert.equal(await check(), 1);
  });
});
