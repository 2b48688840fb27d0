/** `veilgate settlements tail` against a gateway's admin address on loopback. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { followSettlements, type Settlement } from '../../cli/settlements/follow.ts';
import { headLine, settlementLine } from '../../cli/settlements/line.ts';
import type { VeilError } from '../../core/errors.ts';

const ENTRY = {
  atMs: 1_781_524_800_000,
  kind: 'settle',
  account: 'ab'.repeat(32),
  requestId: 'cd'.repeat(16),
  workerId: 'ef'.repeat(32),
  asset: 'TON',
  amount: '120500',
  workerPart: '116885',
  cum: '5000000000',
  n: '7',
  epoch: 0,
};
const entry = (seq: number, changes: object = {}) => ({ ...ENTRY, seq: String(seq), ...changes });

interface Reply {
  readonly status: number;
  readonly json: unknown;
}

/** Answers by what was asked after; `hold`: never. */
async function withAdmin(
  replies: (after: string, count: number) => Reply | 'hold' | 'break',
  work: (url: string, asked: readonly string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://admin');
    const after = url.searchParams.get('after') ?? '';
    asked.push(after);
    const reply = replies(after, asked.length);
    if (reply === 'hold') return;
    if (reply === 'break') {
      response.destroy();
      return;
    }
    response.writeHead(reply.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(reply.json));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = server.address();
  assert.ok(place !== null && typeof place !== 'string');
  try {
    await work(`http://127.0.0.1:${place.port}`, asked);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

interface Followed {
  readonly entries: Settlement[];
  readonly troubles: (VeilError | undefined)[];
}

/** Until so many have come. */
async function follow(url: string, count: number): Promise<Followed> {
  const [entries, troubles]: [Settlement[], (VeilError | undefined)[]] = [[], []];
  const ended = new AbortController();
  await followSettlements({
    url,
    after: 0n,
    signal: ended.signal,
    onEntry: (one) => {
      entries.push(one);
      if (entries.length === count) ended.abort();
    },
    onTrouble: (error) => troubles.push(error),
    pauseFirstMs: 1,
  });
  return { entries, troubles };
}

test('each answer is followed by a question for what comes after it', async () => {
  const pages = new Map([
    ['0', [entry(1), entry(2)]],
    ['2', [entry(5)]],
  ]);
  await withAdmin(
    (after) => ({ status: 200, json: { entries: pages.get(after) ?? [] } }),
    async (url, asked) => {
      const { entries, troubles } = await follow(url, 3);
      assert.deepEqual(
        entries.map(({ seq }) => seq),
        [1n, 2n, 5n],
      );
      assert.deepEqual(asked, ['0', '2']);
      assert.deepEqual(troubles, []);
    },
  );
});

test('a gateway that is away for a while is asked again, and that is said once', async () => {
  await withAdmin(
    (_, count) => (count < 4 ? 'break' : { status: 200, json: { entries: [entry(1)] } }),
    async (url) => {
      const { troubles } = await follow(url, 1);
      assert.deepEqual(
        troubles.map((error) => error?.code),
        ['http.broken', undefined],
      );
    },
  );
});

for (const [name, json] of [
  ['that go back', { entries: [entry(2), entry(1)] }],
  ['that repeat', { entries: [entry(0)] }],
  ['of another form', { entries: [entry(1, { kind: '\u001B[2J' })] }],
  ['of an asset nobody knows', { entries: [entry(1, { asset: 'GOLD' })] }],
] as const) {
  test(`entries ${name} are shown to nobody`, async () => {
    await withAdmin(
      (_, count) => ({ status: 200, json: count === 1 ? json : { entries: [entry(9)] } }),
      async (url) => {
        const { entries, troubles } = await follow(url, 1);
        assert.deepEqual(
          entries.map(({ seq }) => seq),
          [9n],
        );
        assert.equal(troubles[0]?.code, 'money.gateway');
      },
    );
  });
}

test('an address without settlements ends it', async () => {
  await withAdmin(
    () => ({ status: 404, json: {} }),
    async (url) => {
      await assert.rejects(follow(url, 1), { code: 'money.refused' });
    },
  );
});

test('clear text is for this machine', async () => {
  await assert.rejects(follow('http://192.0.2.1:1', 1), { code: 'http.origin' });
});

test('lines fit the screen, with points under points', async () => {
  await withAdmin(
    () => ({
      status: 200,
      json: {
        entries: [
          entry(1),
          entry(2, { asset: 'USDT', amount: '1250000', workerPart: '0' }),
          entry(3, { requestId: null, workerId: '00'.repeat(32), amount: '1234567890123' }),
        ],
      },
    }),
    async (url) => {
      const { entries } = await follow(url, 3);
      for (const columns of [80, 120]) {
        const lines = [headLine(columns), ...entries.map((one) => settlementLine(one, columns))];
        assert.ok(
          lines.every((line) => line.length <= columns),
          lines.join('\n'),
        );
        const points = entries.map((one) => settlementLine(one, columns).indexOf('.'));
        assert.equal(new Set(points).size, 1, lines.join('\n'));
      }
      assert.match(
        settlementLine(entries[0] ?? assert.fail(), 80),
        /^12:00:00  abababab  cdcdcdcd  efefefef {5}0\.000120500 {5}0\.000116885  TON$/,
      );
    },
  );
});

test('the command prints JSON for programs and ends at once when asked', async () => {
  await withAdmin(
    (after) => (after === 'tail' ? { status: 200, json: { entries: [entry(1)] } } : 'hold'),
    async (url) => {
      const words = ['cli/veilgate.ts', 'settlements', 'tail', '--url', url, '--json'];
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
      const lines = createInterface({ input: child.stdout });
      const [line] = await once(lines, 'line');
      child.kill('SIGINT');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
      assert.equal(Object(JSON.parse(String(line))).amount, '120500');
    },
  );
});
