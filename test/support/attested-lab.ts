/**
 * A real gateway in a simulated TEE on loopback, and whoever stands between it and an app: a relay of connections that can be
 * turned to somebody else, and an impostor with a certificate of his own who hands on evidence and keeps what he is sent.
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttps, request as httpsRequest } from 'node:https';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat, toHex, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { selfSign } from '../../attestation/x509.ts';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { simulatedGatewayQuotes } from '../../cli/attested/quotes.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import {
  attestedGatewayFetch,
  type AttestedGatewayFetch,
  type AttestedGatewayOptions,
} from '../../client/node/attested-gateway-fetch.ts';
import { DEMO_GATEWAY_WORKLOAD } from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { openLab, type Lab, type LabOptions } from './gateway-lab.ts';

export const ATTESTED_CONFIG = {
  workload: {
    image: toHex(DEMO_GATEWAY_WORKLOAD.image),
    config: toHex(DEMO_GATEWAY_WORKLOAD.config),
  },
  evidence: {},
} as const;

export interface AttestedLab extends Lab {
  /** `https://localhost:port`. */
  readonly origin: string;
  readonly policyFile: string;
  app(options?: Partial<AttestedGatewayOptions>): AttestedGatewayFetch;
}

export async function openAttestedLab(options: LabOptions = {}): Promise<AttestedLab> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'veilgate-attested-'));
  const quotes = await simulatedGatewayQuotes('simulator', join(dataDir, 'pki'));
  const lab = await openLab({
    ...options,
    dataDir,
    deps: { quotes, sealer: plainModeSealer, ...options.deps },
    config: {
      listen: { httpPort: 0, httpsPort: 0, hostNames: ['localhost', '127.0.0.1'] },
      attested: ATTESTED_CONFIG,
      plaintext: 'attested',
      ...options.config,
    },
  });
  const policyFile = join(dataDir, 'policy.yaml');
  const apps: AttestedGatewayFetch[] = [];
  return {
    ...lab,
    origin: `https://localhost:${lab.httpsPort}`,
    policyFile,
    app: (more = {}) => {
      const app = attestedGatewayFetch({ policy: policyFile, gateway: lab.gateway.aud, ...more });
      apps.push(app);
      return app;
    },
    close: async () => {
      await Promise.all(apps.map((app) => app.close()));
      await lab.close();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true });
    },
  };
}

/** What an app would send: enough to be recognised wherever it turns up. */
export const SECRET = 'the prompt that only the gateway may read';

export function ask(origin: string): readonly [string, RequestInit] {
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: SECRET }] });
  const headers = { 'content-type': 'application/json', authorization: 'Bearer vg_secret' };
  return [`${origin}/v1/chat/completions`, { method: 'POST', headers, body }];
}

export interface Impostor {
  readonly port: number;
  readonly certificatePem: string;
  readonly spkiSha256: Bytes<32>;
  /** Everything that was sent to it but questions for evidence and signed documents. */
  readonly caught: readonly string[];
  /** Questions for evidence, with their headers. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

export interface ImpostorOptions {
  /** Whose evidence is handed on; absent: none. */
  readonly evidenceOf?: string;
  /** What is handed on in place of it. */
  readonly evidence?: (honest: string) => { readonly status: number; readonly body: string };
}

/** A TLS server with a certificate for `localhost` that answers like a gateway, and catches what it is sent. */
export async function startImpostor(options: ImpostorOptions = {}): Promise<Impostor> {
  const nowMs = systemClock();
  const signed = await selfSign({
    keys: await generateP256(),
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    notBeforeMs: nowMs - 86_400_000,
    notAfterMs: nowMs + 86_400_000,
  });
  const caught: string[] = [];
  const asked: string[] = [];
  const server = createHttps(
    { cert: signed.certificatePem, key: signed.privateKeyPem },
    (request, response) => {
      const path = request.url ?? '';
      if (request.method === 'GET' && path.startsWith('/.well-known/')) {
        asked.push(`${path} ${JSON.stringify(request.headers)}`);
        void answerShown(options, path, response);
        return;
      }
      const parts: Uint8Array[] = [];
      request.on('data', (part: Uint8Array) => parts.push(part));
      request.on('end', () => {
        caught.push(
          `${path} ${JSON.stringify(request.headers)} ${new TextDecoder().decode(concat(...parts))}`,
        );
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"choices":[{"message":{"role":"assistant","content":"forged"}}],"data":[]}');
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: portOf(server.address()),
    certificatePem: signed.certificatePem,
    spkiSha256: signed.spkiSha256,
    caught,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answerShown(
  options: ImpostorOptions,
  path: string,
  response: ServerResponse,
): Promise<void> {
  const { status, body } = await shown(options, path);
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

async function shown({ evidenceOf, evidence }: ImpostorOptions, path: string) {
  const honest = evidenceOf === undefined ? '' : await getText(`${evidenceOf}${path}`);
  if (evidence !== undefined) return evidence(honest);
  return { status: evidenceOf === undefined ? 404 : 200, body: honest };
}

/** From whoever answers. */
export function getText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { rejectUnauthorized: false, agent: false }, (response) => {
      const parts: Uint8Array[] = [];
      response.on('data', (part: Uint8Array) => parts.push(part));
      response.on('end', () => resolve(new TextDecoder().decode(concat(...parts))));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
}

export interface Switchboard {
  readonly origin: string;
  /** New connections go there from now on; those that are open end. */
  turnTo(port: number): void;
  close(): Promise<void>;
}

/** Whoever owns the road between app and gateway: hands connections on, byte by byte, wherever he likes. */
export async function startSwitchboard(port: number): Promise<Switchboard> {
  let target = port;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ port: target, host: '127.0.0.1' });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    origin: `https://localhost:${portOf(server.address())}`,
    turnTo: (next) => {
      target = next;
      cut();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}

function portOf(address: string | AddressInfo | null): number {
  if (typeof address !== 'object' || address === null) throw new Error('a TCP listener has a port');
  return address.port;
}

/** The code in `sx-error` of an answer that is this client's own refusal. */
export async function refusalOf(response: Response): Promise<string> {
  await response.body?.cancel();
  return response.headers.get('sx-error') ?? `no refusal: ${response.status}`;
}
