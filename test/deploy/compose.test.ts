/** The trial in containers as its text says it: nobody is root, nobody sees another's keys, nothing is open to the network. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { composeProblems, type ComposeRules } from '../support/deploy/compose.ts';
import { foldersMade, parseDockerfile } from '../support/deploy/dockerfile.ts';

const TEXT = readFileSync('deploy/compose.yaml', 'utf8');
const DOCKERFILE = parseDockerfile(readFileSync('deploy/Dockerfile', 'utf8'));

const RULES: ComposeRules = {
  targets: DOCKERFILE.stages.map(({ name }) => name),
  folders: foldersMade(DOCKERFILE),
  filler: 'setup',
  holders: {
    team: [],
    published: ['timestamper', 'gateway'],
    timestamp: ['timestamper'],
    gateway: ['gateway'],
    owner: ['owner'],
    worker: ['worker'],
    app: ['ask'],
  },
  writers: {
    published: ['timestamper'],
    timestamp: ['timestamper'],
    gateway: ['gateway'],
    worker: ['worker'],
  },
};

test('the trial keeps the rules', () => {
  assert.deepEqual(composeProblems(TEXT, RULES), []);
});

suite('the rules notice', () => {
  const cases: readonly (readonly [what: string, from: string, to: string, problem: RegExp])[] = [
    ['a root that can be written to', 'read_only: true', 'read_only: false', /can be written to$/],
    ['capabilities', 'cap_drop: [ALL]', 'cap_drop: [NET_RAW]', /: capabilities$/],
    [
      'more capabilities',
      'cap_drop: [ALL]',
      'cap_drop: [ALL]\n  cap_add: [SYS_ADMIN]',
      /: capabilities$/,
    ],
    ['new privileges', "['no-new-privileges:true']", '[]', /: new privileges$/],
    ['privileged', 'read_only: true', 'read_only: true\n  privileged: true', /: privileged$/],
    ['root', "user: '10001:10001'", "user: '0:0'", /: user 0:0$/],
    ['core files', 'ulimits: { core: 0 }', 'ulimits: { core: 1000 }', /: core files$/],
    ['an image of somebody else', 'pull_policy: build', 'pull_policy: missing', /may be pulled$/],
    ['another context', 'context: ..,', 'context: .,', /: context$/],
    ['an image that is not built', 'target: command', 'target: commands', /no image commands$/],
    ['a port for everybody', "'127.0.0.1:8443:8443'", "'8443:8443'", /^gateway: port 8443/],
    [
      'the network of the machine',
      'network_mode: none',
      'network_mode: host',
      /^setup: network host$/,
    ],
    ['a way out', 'inside: { internal: true }', 'inside: {}', /: a way out$/],
    [
      'a host that is none',
      '--worker=https://worker:8444',
      '--worker=https://werker:8444',
      /no service werker$/,
    ],
    [
      'a volume that is none',
      '      - owner:/trial/owner:ro',
      '      - ouner:/trial/owner:ro',
      /^owner: no volume ouner$/,
    ],
    [
      'keys of another',
      '      - owner:/trial/owner:ro',
      '      - owner:/trial/owner:ro\n      - team:/trial/team:ro',
      /^owner: sees team$/,
    ],
    [
      'a reader that writes',
      'published:/trial/team/published:ro',
      'published:/trial/team/published',
      /^gateway: may write to published$/,
    ],
    [
      'a folder that root would own',
      'app:/trial/app:ro',
      'app:/trial/apps:ro',
      /^ask: (the image has no|.* is in no volume)/,
    ],
    [
      'a path outside',
      '--card=/trial/owner/card.json',
      '--card=/trial/worker/card.json',
      /^owner: .*card.json is in no volume$/,
    ],
    [
      'a shell in a health check',
      '[CMD, node, deploy/healthcheck.mjs, /trial',
      '[CMD-SHELL, node, deploy/healthcheck.mjs, /trial',
      /^timestamper: health check$/,
    ],
    [
      'waiting for nobody',
      '{ timestamper: { condition',
      '{ timestampers: { condition',
      /^gateway: no service timestampers$/,
    ],
    [
      'not waiting',
      'worker: { condition: service_healthy }',
      'worker: { condition: service_started }',
      /^ask: waits for worker/,
    ],
  ];
  for (const [what, from, to, problem] of cases) {
    test(what, () => {
      assert.ok(TEXT.includes(from), 'the text has moved');
      const problems = composeProblems(
        TEXT.replace(from, () => to),
        RULES,
      );
      assert.notEqual(problems.length, 0);
      for (const found of problems) assert.match(found, problem);
    });
  }
});
