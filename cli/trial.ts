/**
 * `veilgate trial DIRECTORY`: what each party of a trial is configured with, in a folder of its own, so that they can run as
 * they would in earnest: processes, containers or machines that share nothing but the network. `veilgate up` is all of them in
 * one. Spec: docs/deploy.md; overview "Simulated machines".
 * @module
 */

import type { Command } from 'commander';
import { systemClock } from '../core/clock.ts';
import { outputLine } from '../core/node/terminal.ts';
import { cliError } from './errors.ts';
import { writeTrial, type TrialFacts } from './trial/write-trial.ts';

interface TrialOptions {
  readonly gateway: URL;
  readonly owner: URL;
  readonly worker: URL;
  readonly json?: true;
}

export function registerTrialCommand(program: Command): void {
  program
    .command('trial')
    .description('write the configuration and keys of a trial, one folder for each party')
    .argument('<directory>', 'keys that are there stay; the policy is published anew')
    .option(
      '--gateway <url>',
      'as workers and apps reach the gateway',
      origin('--gateway', ['https:']),
      new URL('https://127.0.0.1:8443'),
    )
    .option(
      '--owner <url>',
      'as the worker reaches its owner; http on loopback, https anywhere else',
      origin('--owner', ['http:', 'https:']),
      new URL('http://127.0.0.1:8790'),
    )
    .option(
      '--worker <url>',
      'as the gateway reaches the worker',
      origin('--worker', ['https:']),
      new URL('https://127.0.0.1:8444'),
    )
    .option('--json', 'one JSON object')
    .action(trial);
}

function origin(name: string, protocols: readonly string[]): (text: string) => URL {
  return (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url !== undefined && url.href === `${url.origin}/` && protocols.includes(url.protocol)) {
      return url;
    }
    throw cliError('cli.option', `${name} takes ${protocols.join(' or ')}//host:port`);
  };
}

async function trial(directory: string, options: TrialOptions): Promise<void> {
  const { gateway, owner, worker } = options;
  const facts = await writeTrial({ directory, gateway, owner, worker, now: systemClock });
  if (options.json === true) outputLine(JSON.stringify(facts));
  else for (const line of linesOf(facts, options)) outputLine(line);
}

function linesOf(facts: TrialFacts, { gateway, owner }: TrialOptions): readonly string[] {
  const { team, timestamp, owner: ownerPaths, gateway: gatewayPaths, worker, app, model } = facts;
  return [
    `gateway   ${facts.aud}   at ${gateway.origin}`,
    `worker    ${facts.workerId}`,
    'The machine is simulated: nothing here is protected.',
    '',
    'Each in a terminal of its own:',
    `  npx veilgate revoke timestamp --repo ${team.published} --as ${timestamp.key}`,
    `  npx veilgate owner serve ${ownerPaths.directory} --card ${ownerPaths.card} --gateway ${ownerPaths.gateways} --listen ${owner.host}`,
    `  npx node gateway/main.ts --config ${gatewayPaths.config}`,
    `  npx node enclave-worker/main.ts --config ${worker.config}`,
    '',
    'And then:',
    `  NODE_EXTRA_CA_CERTS=${app.certificate} npx node deploy/ask.mjs --url ${gateway.origin}/v1 --root ${app.root} --model ${model} 'What is remote attestation?'`,
  ];
}
