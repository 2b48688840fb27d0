/**
 * `veilgate …` inside the test's own process: a command takes milliseconds instead of a second. What it writes is caught;
 * the reporter of the tests writes bytes, commands write text. @module
 */

import { Command, CommanderError } from 'commander';
import { registerPolicyCommand } from '../../cli/policy.ts';
import { registerRevokeCommand } from '../../cli/revoke.ts';
import { jsonObject } from './json-object.ts';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One at a time. */
export async function run(...words: readonly string[]): Promise<Ran> {
  const out = caught(process.stdout);
  const err = caught(process.stderr);
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    const status = await parsed(words);
    return { status, stdout: out.text(), stderr: err.text() };
  } finally {
    process.exitCode = before;
    out.stop();
    err.stop();
  }
}

async function parsed(words: readonly string[]): Promise<number> {
  const program = new Command('veilgate').exitOverride();
  await registerPolicyCommand(program, words);
  registerRevokeCommand(program);
  try {
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return Number(process.exitCode);
}

function caught(stream: NodeJS.WriteStream): {
  readonly text: () => string;
  readonly stop: () => void;
} {
  const write = stream.write.bind(stream);
  let text = '';
  Object.assign(stream, {
    write: (chunk: unknown): boolean => {
      if (typeof chunk !== 'string') return chunk instanceof Uint8Array ? write(chunk) : true;
      text += chunk;
      return true;
    },
  });
  return {
    text: () => text,
    stop: () => {
      Reflect.deleteProperty(stream, 'write');
    },
  };
}

/** Has to succeed. */
export async function done(...words: readonly string[]): Promise<Ran> {
  const ran = await run(...words);
  if (ran.status === 0) return ran;
  throw new Error(`${words.join(' ')}: ${ran.status}\n${ran.stdout}${ran.stderr}`);
}

/** What a program reads. */
export async function report(
  ...words: readonly string[]
): Promise<Readonly<Record<string, unknown>>> {
  const { stdout } = await run(...words, '--json');
  return jsonObject(stdout);
}
