/**
 * `veilgate proxy`: an OpenAI endpoint on this machine alone, for any language. It verifies workers under your policy and
 * seals what your programs ask; there is no option to send anything unsealed. Exit status: 0 asked to end, 1 a problem, 2
 * wrong usage. Spec: docs/proxy.md; gateways-and-e2ee §7.8 B.
 * @module
 */

import { InvalidArgumentError, type Command } from 'commander';
import { systemClock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import { CHUNK_TOKENS_MAX } from '../client/limits.ts';
import { processEnvironment } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { systemCodeOf } from '../core/node/private-files.ts';
import { errorLine, jsonLine, outputLine, printable } from '../core/node/terminal.ts';
import { adviceOnStart } from './proxy/advice.ts';
import {
  CONCURRENCY_DEFAULT,
  CONCURRENCY_MAX,
  HOST_DEFAULT,
  PORT_DEFAULT,
} from './proxy/limits.ts';
import type { ProxyEvent } from './proxy/events.ts';
import { eventJson, eventLine, money } from './proxy/lines.ts';
import { startLiveView } from './proxy/live-view.ts';
import { runProxy, type RunningProxy } from './proxy/run.ts';
import {
  payerText,
  settingsOf,
  trustOnly,
  type ProxyOptions,
  type ProxySettings,
} from './proxy/settings.ts';

const PORT_MAX = 65_535;
const RECIPIENTS_MAX = 8;

export function registerProxyCommand(program: Command): void {
  program
    .command('proxy')
    .description(
      'an OpenAI endpoint on this machine that verifies workers and seals, for any language',
    )
    .option('--gateway <url>', 'the address that apps use (default: that of the channel)')
    .option('--gateway-id <gw1.…>', 'the identity it has to have (a channel pins its own)')
    .option('--cacert <file>', 'of the authority behind the gateway’s certificate; no other counts')
    .option('--policy-root <file>', 'whom to trust: the root of a security team’s keys')
    .option('--policy <file>', 'instead: a policy of your own, unsigned')
    .option('--publication <url>', 'a second place to look for policies and revocations')
    .option('--policy-memory <file>', 'what was accepted (default: in the directory, by root)')
    .option('--channel <id|file>', 'pay from this channel, see "veilgate channel"')
    .option('--api-key-file <file>', 'instead: pay from the balance of this key; owner-only')
    .option('--spend-max <amount>', 'TON over the life of the channel, such as 2.5')
    .option(
      '--chunk-tokens <number>',
      'pay as answers arrive, in chunks of so many tokens',
      whole(1, CHUNK_TOKENS_MAX),
    )
    .option('--max-price <amount>', 'TON that one request may cost at most')
    .option(
      '--recipients <number>',
      'seal each request to so many workers',
      whole(1, RECIPIENTS_MAX),
    )
    .option('--constant-rate', 'answers in frames of one size at one pace, 80 KB a second')
    .option('--host <address>', 'address of this machine alone: 127.0.0.1 or ::1', HOST_DEFAULT)
    .option('--port <number>', 'port, 0 for any', whole(0, PORT_MAX), PORT_DEFAULT)
    .option('--token-file <file>', 'keep the token there from run to run; made if not there')
    .option(
      '--concurrency <number>',
      'requests at once',
      whole(1, CONCURRENCY_MAX),
      CONCURRENCY_DEFAULT,
    )
    .option('--dir <directory>', 'where a payer’s files are (default: ~/.veilgate)')
    .option('--lines', 'one line for each event, also on a terminal')
    .option('--json', 'one line of JSON for each event')
    .action(proxy);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`want a whole number from ${min} to ${max}`);
  };
}

async function proxy(options: ProxyOptions): Promise<void> {
  const asked = untilSignal();
  try {
    if (options.cacert !== undefined) trustOnly(options.cacert);
    const settings = await settingsOf(options);
    const show = viewFor(options, settings);
    const running = await runProxy(settings, { onEvent: (event) => show.event(event) });
    show.listening(running);
    await asked;
    show.stopping();
    await running.close();
    show.ended(running);
  } catch (error) {
    sayFailure(error, options);
    process.exitCode = 1;
  }
}

interface View {
  event(event: ProxyEvent): void;
  listening(running: RunningProxy): void;
  stopping(): void;
  ended(running: RunningProxy): void;
}

function viewFor(options: ProxyOptions, settings: ProxySettings): View {
  if (options.json === true) return jsonView(settings);
  const isDrawn =
    options.lines !== true && process.stdout.isTTY && processEnvironment()['TERM'] !== 'dumb';
  return isDrawn ? liveView(settings) : linesView(settings);
}

function jsonView(settings: ProxySettings): View {
  const say = (json: object): void => outputLine(jsonLine(json));
  return {
    event: (event) => say(eventJson(event, systemClock())),
    listening: ({ baseUrl }) =>
      say({
        event: 'listening',
        baseUrl,
        gateway: settings.gatewayUrl,
        payer: settings.payer.kind,
        ...(settings.tokenFile === undefined
          ? { token: settings.token }
          : { tokenFile: settings.tokenFile }),
        pid: process.pid,
      }),
    stopping: () => undefined,
    ended: ({ activity }) =>
      say({
        event: 'stopped',
        ...activity.counts,
        spent: [...activity.spent].map(([asset, value]) => ({ asset, amount: String(value) })),
      }),
  };
}

function linesView(settings: ProxySettings): View {
  return {
    event: (event) => {
      const line = eventLine(event);
      if (line !== undefined) outputLine(printable(line));
    },
    listening: ({ baseUrl }) => {
      const { gatewayUrl, payer } = settings;
      outputLine(`listening on ${baseUrl} for ${gatewayUrl}, paid by ${payerText(payer)}`);
      outputLine(`token: ${tokenText(settings)}`);
    },
    stopping: () => undefined,
    ended: (running) => outputLine(summary(running)),
  };
}

function liveView(settings: ProxySettings): View {
  let view: ReturnType<typeof startLiveView> | undefined;
  return {
    event: () => undefined,
    listening: ({ baseUrl, activity }) => {
      const { gatewayUrl, payer } = settings;
      const facts = { baseUrl, gatewayUrl, token: tokenText(settings), payer: payerText(payer) };
      view = startLiveView(process.stdout, activity, facts, systemClock);
    },
    stopping: () => view?.stopping(),
    ended: (running) => {
      view?.end();
      outputLine(summary(running));
    },
  };
}

/** One that is kept in a file is not shown: terminals and journals remember. */
function tokenText({ token, tokenFile }: ProxySettings): string {
  return tokenFile === undefined ? token : `in ${tokenFile}`;
}

function summary({ activity: { counts, spent, faults } }: RunningProxy): string {
  const sums = [...spent].map(([asset, value]) => money(value, asset)).join(' and ');
  const faulty = faults.length === 0 ? '' : `; ${faults.length} bills did not hold`;
  return `stopped: ${counts.answered} answered, ${counts.failed} failed, ${counts.left} left early; spent ${sums === '' ? 'nothing' : sums}${faulty}`;
}

function sayFailure(error: unknown, { json, port, host }: ProxyOptions): void {
  const { code, message, advice } = failureOf(error, { port, host });
  if (json === true) {
    outputLine(jsonLine({ event: 'error', code, message, advice: advice ?? null }));
    return;
  }
  errorLine(printable(`veilgate: ${message}`));
  if (advice !== undefined) errorLine(`  ${advice}`);
}

/** Rethrows what is not ours: a bug must look like one. */
function failureOf(
  error: unknown,
  { port, host }: Pick<ProxyOptions, 'port' | 'host'>,
): { readonly code: string; readonly message: string; readonly advice: string | undefined } {
  if (error instanceof VeilError) {
    const { code, message } = error;
    return { code, message, advice: adviceOnStart(error) };
  }
  const code = systemCodeOf(error);
  const why = LISTEN_TROUBLE[code];
  if (why === undefined) throw error;
  return {
    code,
    message: `${host}:${port} ${why}`,
    advice: 'Choose another port with --port, or 0 for any that is free.',
  };
}

const LISTEN_TROUBLE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is used by another program.',
  EACCES: 'may not be listened on by this user.',
  EADDRNOTAVAIL: 'is no address of this machine.',
};
