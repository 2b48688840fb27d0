/**
 * A server in a simulated TEE whose evidence verifies and whose TLS key is that of its statement, and which then answers as a
 * test wants: what software that a policy lists by mistake could do to a client. @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateEd25519 } from '#primitives';
import { systemClock } from '../../core/clock.ts';
import { createLog } from '../../core/node/log.ts';
import { encodeGatewayEvidence } from '../../attestation/gateway/gateway-evidence.ts';
import { gatewayAudOf } from '../../attestation/gateway/gateway-statement.ts';
import { selfSign } from '../../attestation/x509.ts';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { simulatedGatewayQuotes } from '../../cli/attested/quotes.ts';
import {
  attestedGatewayFetch,
  type AttestedGatewayFetch,
  type AttestedGatewayOptions,
} from '../../client/node/attested-gateway-fetch.ts';
import { DEMO_GATEWAY_WORKLOAD } from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { OwnEvidence } from '../../gateway/attested/own-evidence.ts';
import { GATEWAY_EVENTS } from '../../gateway/events.ts';
import { writePolicy } from './gateway-lab.ts';
import { portOf } from './relay.ts';

export interface AttestedRogue {
  /** `https://localhost:port`. */
  readonly origin: string;
  app(options?: Partial<AttestedGatewayOptions>): AttestedGatewayFetch;
  close(): Promise<void>;
}

export async function startAttestedRogue(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<AttestedRogue> {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-rogue-'));
  const pkiDir = join(folder, 'pki');
  const simulator = await createSimulator({ pkiDir });
  const nowMs = systemClock();
  const signed = await selfSign({
    keys: await generateP256(),
    commonName: 'localhost',
    dnsNames: ['localhost'],
    notBeforeMs: nowMs - 86_400_000,
    notAfterMs: nowMs + 86_400_000,
  });
  const identity = generateEd25519().publicKey;
  const own = new OwnEvidence({
    source: await simulatedGatewayQuotes('simulator', pkiDir),
    hosts: ['localhost'],
    keys: { identity, tls: { spkiSha256: signed.spkiSha256 }, ledger: [] },
    workload: DEMO_GATEWAY_WORKLOAD,
    lifetimeS: 600,
    clock: systemClock,
    log: createLog({
      events: GATEWAY_EVENTS,
      part: 'gateway',
      level: 'info',
      destination: { write: () => undefined },
    }),
  });
  await own.renew(new AbortController().signal);
  const shown = JSON.stringify({ evidence: encodeGatewayEvidence(own.current()) });
  const server = createServer(
    { cert: signed.certificatePem, key: signed.privateKeyPem },
    (request, response) => {
      if (request.url?.startsWith('/.well-known/') === true) response.end(shown);
      else answer(request, response);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const policy = writePolicy(folder, simulator.rootSha256());
  const apps: AttestedGatewayFetch[] = [];
  return {
    origin: `https://localhost:${portOf(server)}`,
    app: (options = {}) => {
      const app = attestedGatewayFetch({ policy, gateway: gatewayAudOf(identity), ...options });
      apps.push(app);
      return app;
    },
    close: async () => {
      server.closeAllConnections();
      await Promise.all(apps.map((app) => app.close()));
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(folder, { recursive: true });
    },
  };
}
