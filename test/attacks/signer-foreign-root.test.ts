/** Attack: whoever can write into the repository puts a root of their own there, and waits for people to sign on top of it. @module */

import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/commands.ts';
import { team } from '../support/policy-team.ts';

test('nobody who names the root signs, publishes or revokes over another one', async () => {
  using own = await team();
  using thief = await team();
  const bundle = await own.bundle(1);
  const mine = own.path('mine.json');
  copyFileSync(join(own.repo, 'root', '1.json'), mine);
  rmSync(join(own.repo, 'root', '1.json'));
  copyFileSync(join(thief.repo, 'root', '1.json'), join(own.repo, 'root', '1.json'));
  const at = ['--repo', own.repo, '--root', mine];
  const by = (name: string): readonly string[] => ['--as', own.key(name)];
  const commands: readonly (readonly string[])[] = [
    ['policy', 'sign', own.policy(2), '--out', own.path('2.json'), ...by('alice'), ...at],
    ['policy', 'publish', '--bundle', bundle, ...by('alice'), ...at],
    ['policy', 'promote', '--share', 'full', ...by('alice'), ...at],
    ['policy', 'rollback', '--to', '1', '--out', own.path('3.json'), ...at],
    ['revoke', 'add', 'kid', '00'.repeat(16), '--reason', 'x', ...by('carol'), ...at],
    ['revoke', 'remove', 'kid', '00'.repeat(16), ...by('carol'), ...at],
  ];
  for (const command of commands) {
    const { status, stderr } = await run(...command);
    assert.notEqual(status, 0);
    assert.match(stderr, /not the one that was named/, command.join(' '));
  }
});
