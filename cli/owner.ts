/**
 * `veilgate owner init|card|serve`: what a worker's owner needs on a machine of their own, outside the enclave: the key that
 * names the worker, the card that says what it serves, and the service that signs the worker's statements.
 * Spec: overview "Identities", "Statement and card".
 * @module
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { ed25519PublicKey } from '#primitives';
import { encodeCard, parseCard, workerIdOf } from '../attestation/card.ts';
import { fixed, fromHex, fromUtf8, toBase64Url, toHex, type Bytes } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { loadConfig } from '../core/node/config.ts';
import { untilSignal } from '../core/node/lifecycle.ts';
import { errorLine, outputLine } from '../core/node/terminal.ts';
import { WORKER_CONFIG } from '../enclave-worker/config.ts';
import { localOwnerSigner } from '../enclave-worker/owner.ts';
import { openOwnerAgent } from '../enclave-worker/owner-agent.ts';
import { measureServed } from '../enclave-worker/weights/measure-served.ts';
import { cliError } from './errors.ts';
import { readBoundedFile } from './measure/files.ts';
import { createOwner, openOwner, type Owner } from './owner/owner-directory.ts';
import { sha256OfFile } from './owner/weights.ts';

const FREE = { base: 0n, prompt: 0n, cached: 0n, completion: 0n, reasoning: 0n };
const LISTEN_DEFAULT = '127.0.0.1:8790';
const PORT_MAX = 65_535;
const GATEWAYS_FILE_MAX_BYTES = 16_384;

export function registerOwnerCommand(program: Command): void {
  const owner = program
    .command('owner')
    .description("keep a worker's owner key outside its enclave, and sign its statements");
  owner
    .command('init')
    .description('make the key, the token for workers and the TLS key, in one directory')
    .argument('<directory>', 'made if it is not there; a key that is there stays')
    .option('--json', 'one JSON object')
    .action(init);
  owner
    .command('card')
    .description('write the worker card: model, limits, payout')
    .argument('<directory>', 'the directory of owner init')
    .requiredOption('--model <id>', 'public name of the model')
    .requiredOption(
      '--weights <path|hex>',
      'the file or folder of the weights, or the SHA-256 as 64 hex digits',
    )
    .option('--upstream <file>', "the worker's configuration, for an engine that runs beside it")
    .requiredOption('--context <tokens>', 'context length', count)
    .option('--max-prompt <tokens>', 'longest prompt (default: the context length)', count)
    .option('--max-output <tokens>', 'longest answer (default: the context length)', count)
    .option('--concurrent <number>', 'requests at once', count, 4)
    .option('--capability <word...>', 'what the model can do', ['chat'])
    .option('--payout <address>', 'TON address')
    .option('--out <file>', 'where to write it', 'card.json')
    .action(card);
  owner
    .command('serve')
    .description('sign statements about the card, for workers that show the token, until Ctrl-C')
    .argument('<directory>', 'the directory of owner init')
    .requiredOption('--card <file>', 'the card of owner card')
    .option('--listen <host:port>', 'clear text on loopback, TLS anywhere else', LISTEN_DEFAULT)
    .option(
      '--gateway <aud|file...>',
      'sign for these gateways only (gw1.…, or a file with one on each line)',
    )
    .option('--json', 'one JSON object when ready')
    .action(serve);
}

function count(text: string): number {
  const value = Number(text);
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('want a whole number above zero');
}

async function init(directory: string, { json }: { readonly json?: true }): Promise<void> {
  const owner = await createOwner(directory);
  const facts = factsOf(owner);
  if (json === true) {
    outputLine(JSON.stringify(facts));
    return;
  }
  outputLine(`worker id   ${facts.workerId}`);
  outputLine(`owner key   ${facts.owner}`);
  outputLine(
    `TLS pin     ${facts.tlsSpkiSha256}   (owner.tlsSpkiSha256 in the worker's configuration)`,
  );
  outputLine(`token       ${owner.tokenPath}   (copy to the worker: owner.tokenFile)`);
  outputLine(
    `\nKeep ${owner.directory} private and backed up: the key in it is the worker's name.`,
  );
}

function factsOf(owner: Owner) {
  const publicKey = ed25519PublicKey(owner.secretKey);
  return {
    workerId: toHex(workerIdOf(publicKey)),
    owner: toBase64Url(publicKey),
    tlsSpkiSha256: toBase64Url(owner.tls.spkiSha256),
    tokenFile: owner.tokenPath,
  };
}

interface CardOptions {
  readonly model: string;
  readonly weights: string;
  readonly upstream?: string;
  readonly context: number;
  readonly maxPrompt?: number;
  readonly maxOutput?: number;
  readonly concurrent: number;
  readonly capability: readonly string[];
  readonly payout?: string;
  readonly out: string;
}

async function card(directory: string, options: CardOptions): Promise<void> {
  const owner = openOwner(directory);
  const bytes = encodeCard({
    owner: ed25519PublicKey(owner.secretKey),
    model: {
      id: options.model,
      contextLength: options.context,
      capabilities: options.capability,
      weights: await weightsOf(options),
    },
    limits: {
      maxPromptTokens: options.maxPrompt ?? options.context,
      maxOutputTokens: options.maxOutput ?? options.context,
      maxConcurrent: options.concurrent,
    },
    // Prices come with settlement: nothing is charged yet.
    prices: { asset: 'TON', ...FREE },
    payout: options.payout ?? null,
  });
  writeFileSync(options.out, bytes);
  const { model } = parseCard(bytes);
  outputLine(`${options.out}: ${model.id}, weights sha256:${toHex(model.weights)}`);
}

async function weightsOf({ weights, upstream }: CardOptions): Promise<Bytes<32>> {
  if (/^[0-9a-f]{64}$/.test(weights)) return fixed(fromHex(weights), 32);
  if (upstream === undefined) return await sha256OfFile(weights);
  const { engine } = loadConfig(WORKER_CONFIG, { part: 'worker', filePath: upstream });
  if (engine.upstream === undefined) throw cliError('cli.option', `${upstream}: engine.upstream`);
  return (await measureServed(weights, engine.upstream)).digest;
}

interface ServeOptions {
  readonly card: string;
  readonly listen: string;
  readonly gateway?: readonly string[];
  readonly json?: true;
}

/** Where workers cannot connect to, though it can be listened on. */
const ANYWHERE = ['0.0.0.0', '::'];

async function serve(directory: string, options: ServeOptions): Promise<void> {
  const asked = untilSignal();
  const owner = openOwner(directory);
  const cardBytes = readCard(options.card);
  const publicKey = ed25519PublicKey(owner.secretKey);
  if (toHex(parseCard(cardBytes).owner) !== toHex(publicKey)) {
    throw cliError('cli.option', `${options.card} is the card of another owner`);
  }
  const { host, port, isLoopback } = listenOn(options.listen);
  const isJson = options.json === true;
  const agent = await openOwnerAgent({
    signer: localOwnerSigner(owner.secretKey, cardBytes, {
      now: systemClock,
      ...(options.gateway === undefined ? {} : { auds: options.gateway.flatMap(audiences) }),
    }),
    token: owner.token,
    ...(isLoopback ? {} : { tls: owner.tls }),
    host,
    port,
    onRequest: (outcome) => {
      if (!isJson)
        errorLine(`  ${outcome === 'signed' ? 'signed a statement' : `refused: ${outcome}`}`);
    },
  });
  const shownHost = host.includes(':') ? `[${host}]` : host;
  const isAnywhere = ANYWHERE.includes(host);
  const url = `${isLoopback ? 'http' : 'https'}://${shownHost}:${agent.port}`;
  const facts = { ...factsOf(owner), url };
  if (isJson) outputLine(JSON.stringify(facts));
  else {
    outputLine(`signing for worker ${facts.workerId} at ${url}`);
    outputLine('the worker needs in its configuration:');
    const workerUrl = isAnywhere ? `https://<address of this machine>:${agent.port}` : url;
    outputLine(
      `  owner: { url: '${workerUrl}', tokenFile: <copy of ${owner.tokenPath}>${isLoopback ? '' : `, tlsSpkiSha256: ${facts.tlsSpkiSha256}`} }`,
    );
  }
  await asked;
  await agent.close();
}

function readCard(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw cliError('cli.file', `${path} cannot be read`, { cause });
  }
}

const AUDIENCE = /^gw1\.[A-Za-z0-9_-]{43}$/;

function audiences(text: string): readonly string[] {
  const listed = text.startsWith('gw1.') ? [text] : linesIn(text);
  // A list of nobody would have to mean everybody or nobody: neither is what its writer can have meant.
  if (listed.length > 0 && listed.every((line) => AUDIENCE.test(line))) return listed;
  throw cliError('cli.option', '--gateway takes gw1. and 43 base64url characters');
}

function linesIn(path: string): readonly string[] {
  const text = fromUtf8(readBoundedFile('list of gateways', path, GATEWAYS_FILE_MAX_BYTES));
  return text.split('\n').filter((line) => line !== '');
}

const LOOPBACK = ['127.0.0.1', '::1'];

function listenOn(text: string): {
  readonly host: string;
  readonly port: number;
  readonly isLoopback: boolean;
} {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > PORT_MAX) {
    throw cliError('cli.option', '--listen takes host:port');
  }
  // A name is what a resolver makes of it, and clear text is for this machine.
  const address = host === 'localhost' ? '127.0.0.1' : host;
  return { host: address, port, isLoopback: LOOPBACK.includes(address) };
}
