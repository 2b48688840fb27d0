/** `veilgate proxy` as a process of its own, with everything that it writes. @module */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import { until } from './until.ts';

const LISTENING = z.looseObject({
  event: z.literal('listening'),
  baseUrl: z.string(),
  token: z.string().optional(),
  tokenFile: z.string().optional(),
});

export interface ProxyProcess {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** With `--json`: every line so far. */
  events(): readonly Readonly<Record<string, unknown>>[];
  /** With `--json`. */
  listening(): Promise<z.output<typeof LISTENING>>;
  /** With `--lines`. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Ends it and resolves with its exit status. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export function startProxyProcess(...words: readonly string[]): ProxyProcess {
  const child = spawn(process.execPath, ['cli/veilgate.ts', 'proxy', '--port', '0', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (bytes: Uint8Array) => (out += Buffer.from(bytes).toString('utf8')));
  child.stderr.on('data', (bytes: Uint8Array) => (err += Buffer.from(bytes).toString('utf8')));
  const events: ProxyProcess['events'] = () =>
    out
      .split('\n')
      .slice(0, -1)
      .map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
  return {
    child,
    stdout: () => out,
    stderr: () => err,
    events,
    listening: async () => {
      await until(() => child.exitCode !== null || events().some(isListening));
      return LISTENING.parse(events().find(isListening));
    },
    said: async (pattern) => {
      await until(() => child.exitCode !== null || pattern.test(out));
      const found = pattern.exec(out);
      if (found === null) throw new Error(`not said: ${pattern.source}\n${out}${err}`);
      return found;
    },
    end: async (signal = 'SIGINT') => {
      if (child.exitCode !== null) return child.exitCode;
      const ended = once(child, 'close');
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

function isListening({ event }: Readonly<Record<string, unknown>>): boolean {
  return event === 'listening';
}

/** Runs to its own end. */
export async function proxyRan(
  ...words: readonly string[]
): Promise<{ readonly status: number | null; readonly out: string; readonly err: string }> {
  const proxy = startProxyProcess(...words);
  await once(proxy.child, 'close');
  return { status: proxy.child.exitCode, out: proxy.stdout(), err: proxy.stderr() };
}
