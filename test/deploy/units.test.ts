/** The systemd units as their text says them, and that they let through what their configurations name. @module */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { loadConfig } from '../../core/node/config.ts';
import { WORKER_CONFIG } from '../../enclave-worker/config.ts';
import { loadGatewayConfig } from '../../gateway/config.ts';
import { pathsIn } from '../support/deploy/example-paths.ts';
import { parseUnit, unitProblems, type UnitRules } from '../support/deploy/unit.ts';

const SYSUSERS = readFileSync('deploy/systemd/veilgate.sysusers.conf', 'utf8');
const GATEWAY = loadGatewayConfig({ filePath: 'deploy/config/gateway.yaml', environment: {} });
const WORKER = loadConfig(WORKER_CONFIG, {
  part: 'worker',
  filePath: 'deploy/config/worker.yaml',
  environment: {},
});

const INTERNET = 'AF_UNIX AF_INET AF_INET6';
const PLAIN = {
  capabilities: '',
  families: INTERNET,
  sysusers: SYSUSERS,
  configured: [],
  graceMs: 10_000,
  also: {
    StateDirectoryMode: '0700',
    ProtectKernelTunables: 'yes',
    PrivateUsers: 'yes',
    ReadWritePaths: null,
  },
};

const RULES: readonly UnitRules[] = [
  {
    ...PLAIN,
    name: 'veilgate-gateway',
    configured: pathsIn(GATEWAY),
    graceMs: GATEWAY.closeGraceMs,
  },
  {
    ...PLAIN,
    name: 'veilgate-worker',
    // The kernel makes the files of a request for a quote for root alone: docs/workers.md.
    capabilities: 'CAP_DAC_OVERRIDE',
    configured: pathsIn(WORKER),
    graceMs: WORKER.drainMs,
    also: {
      StateDirectoryMode: '0700',
      MemorySwapMax: '0',
      ReadWritePaths: '-/sys/kernel/config',
      ReadOnlyPaths: '/proc/sys',
    },
  },
  { ...PLAIN, name: 'veilgate-owner' },
  {
    ...PLAIN,
    name: 'veilgate-timestamper',
    families: 'AF_UNIX',
    // A web server hands its files out.
    also: { ...PLAIN.also, StateDirectoryMode: '0711', PrivateNetwork: 'yes' },
  },
];

function textOf(name: string): string {
  return readFileSync(`deploy/systemd/${name}.service`, 'utf8');
}

for (const rules of RULES) {
  test(`${rules.name} keeps the rules`, () => {
    assert.deepEqual(unitProblems(textOf(rules.name), rules), []);
  });
}

test('every unit is held to rules', () => {
  const names = globSync('deploy/systemd/*.service').map((path) =>
    path.replace(/^.*\/|\.service$/g, ''),
  );
  assert.deepEqual(names.sort(), RULES.map(({ name }) => name).sort());
});

test('gateway and worker start with the examples', () => {
  for (const name of ['gateway', 'worker']) {
    const [command = ''] = parseUnit(textOf(`veilgate-${name}`)).get('ExecStart') ?? [];
    assert.match(command, new RegExp(`main\\.ts --config /etc/veilgate/${name}\\.yaml$`));
  }
});

suite('the rules notice', () => {
  const [rules] = RULES;
  assert.ok(rules !== undefined);
  const text = textOf(rules.name);
  const settings = [...parseUnit(text).keys()].filter(
    // Say how it is started and for whom; not what it may do.
    (name) =>
      !/^(Description|Documentation|Wants|After|StartLimit.*|Environment|RestartSec|WantedBy|LimitNOFILE|TasksMax|SystemCallFilter|TimeoutStopSec|ExecStart)$/.test(
        name,
      ),
  );
  for (const name of settings) {
    test(`another value of ${name}`, () => {
      const problems = unitProblems(
        text.replace(new RegExp(`^${name}=.*$`, 'm'), `${name}=other`),
        rules,
      );
      assert.deepEqual(problems, [`${name}=other`]);
    });
  }
  const cases: readonly (readonly [what: string, from: string, to: string, problem: RegExp])[] = [
    [
      'that V8 could not compile',
      '[Install]',
      'MemoryDenyWriteExecute=yes\n[Install]',
      /^MemoryDenyWriteExecute=yes$/,
    ],
    [
      'that locks could not see the start',
      '[Install]',
      'ProcSubset=pid\n[Install]',
      /^ProcSubset=pid$/,
    ],
    [
      'a place to write to',
      '[Install]',
      'ReadWritePaths=/etc\n[Install]',
      /^ReadWritePaths=\/etc$/,
    ],
    ['calls that change who it is', '~@privileged @resources', '~@resources', /^SystemCallFilter=/],
    [
      'a kill while it drains',
      'TimeoutStopSec=45',
      'TimeoutStopSec=30',
      /^it is killed while it drains$/,
    ],
    [
      'another program',
      '/opt/veilgate/node_modules/.bin/node',
      '/usr/bin/node',
      /^runs \/usr\/bin\/node$/,
    ],
    [
      'a program that is not there',
      'gateway/main.ts',
      'gateway/start.ts',
      /^no program gateway\/start.ts$/,
    ],
    [
      'a file of somebody else',
      '/etc/veilgate/gateway.yaml',
      '/home/me/gateway.yaml',
      /^\/home\/me\/gateway.yaml is out of its reach$/,
    ],
  ];
  for (const [what, from, to, problem] of cases) {
    test(what, () => {
      assert.ok(text.includes(from), 'the text has moved');
      const [found = '', ...others] = unitProblems(
        text.replace(from, () => to),
        rules,
      );
      assert.match(found, problem);
      assert.deepEqual(others, []);
    });
  }
  test('a user that nobody makes', () => {
    const found = unitProblems(text, {
      ...rules,
      sysusers: SYSUSERS.replaceAll('gateway', 'gate'),
    });
    assert.deepEqual(found, ['no user veilgate-gateway']);
  });
  test('state that a configuration keeps elsewhere', () => {
    const found = unitProblems(text, { ...rules, configured: ['/srv/veilgate'] });
    assert.deepEqual(found, ['/srv/veilgate is out of its reach']);
  });
});
