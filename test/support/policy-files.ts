/** Policies as a team keeps them: files in a folder of their own, and the whole command as a process. @module */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface PolicyFolder extends Disposable {
  readonly path: string;
  /** Writes a file, with the folders it needs, and says where. */
  readonly write: (name: string, content: Uint8Array | string) => string;
}

export function policyFolder(): PolicyFolder {
  const path = mkdtempSync(join(tmpdir(), 'veilgate-policy-'));
  return {
    path,
    write: (name, content) => {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  };
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `veilgate policy …`, as a shell starts it. */
export function runPolicy(...args: readonly string[]): Ran {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['cli/veilgate.ts', 'policy', ...args],
    { encoding: 'utf8', input: '' },
  );
  return { status, stdout, stderr };
}
