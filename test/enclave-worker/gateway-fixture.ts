/**
 * A gateway as a worker sees it: an identity, challenges, and an appraisal with the real policy. Everything it was told
 * is kept for the test to look at. @module
 */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { json as readJson } from 'node:stream/consumers';
import { z } from 'zod';
import {
  generateEd25519,
  randomBytes,
  signEd25519,
  verifyEd25519,
  type KeyPair,
} from '#primitives';
import { fixed, fromBase64, toBase64Url, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import {
  createPinnedPool,
  type ClientCertificate,
  type HttpPool,
} from '../../core/node/http-client.ts';
import { appraise } from '../../attestation/appraise.ts';
import { parseCard } from '../../attestation/card.ts';
import { decodeEvidence } from '../../attestation/evidence.ts';
import { compilePolicy } from '../../attestation/policy/compile.ts';
import { fillDevelopmentPolicy } from '../../attestation/policy/development.ts';
import { statementHash } from '../../attestation/statement.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { selfSign } from '../../attestation/x509.ts';
import { ed25519CryptoKeys } from '../../attestation/x509-keys.ts';
import { audOf, NO_SETTLEMENT, signGatewayDocument } from '../../protocol/gateway-document.ts';

export interface Registration {
  readonly key: AttestedKey;
  readonly endpoint: string;
}

export interface TestGateway {
  readonly url: string;
  readonly aud: string;
  readonly registrations: Registration[];
  readonly left: string[];
  /** How many registrations to answer with 503 first. */
  refuseNext: number;
  /** What its document says that it keeps. */
  feeBps: number;
  readonly link: (registration: Registration) => HttpPool;
  readonly close: () => Promise<void>;
}

const REGISTRATION = z.strictObject({
  evidence: z.unknown(),
  endpoint: z.string(),
  ownerSignature: z.string(),
});
const LEAVE = z.strictObject({ statementHash: z.string(), signature: z.string() });
const DAY_MS = 86_400_000;

export async function linkCertificate(identity: KeyPair): Promise<ClientCertificate> {
  const nowMs = 1_750_000_000_000;
  return selfSign({
    keys: await ed25519CryptoKeys(identity),
    commonName: 'gateway',
    notBeforeMs: nowMs,
    notAfterMs: nowMs + 3650 * DAY_MS,
  });
}

export async function startTestGateway(rootSha256: Bytes<32>, clock: Clock): Promise<TestGateway> {
  const identity = generateEd25519();
  const aud = audOf(identity.publicKey);
  const clientCertificate = await linkCertificate(identity);
  const template = await readFile(
    new URL('../../policies/development.yaml', import.meta.url),
    'utf8',
  );
  const filled = fillDevelopmentPolicy(template, { rootsSha256: [rootSha256], nowMs: clock() });
  const policy = compilePolicy(utf8(filled));
  let challenge: Bytes<32> | undefined;
  const registrations: Registration[] = [];
  const left: string[] = [];

  const answer = (method: string, path: string, body: unknown): readonly [number, unknown] => {
    if (method === 'GET' && path === '/v1/gateway') {
      // Read once: a lifetime of a day and a millisecond is too long.
      const issuedMs = clock();
      return [
        200,
        signGatewayDocument(
          {
            identity: identity.publicKey,
            tlsSpkiSha256: [],
            baseUrls: [],
            settlement: { ...NO_SETTLEMENT, feeBps: gateway.feeBps },
            issuedMs,
            expiresMs: issuedMs + DAY_MS,
          },
          (bytes) => signEd25519(identity.secretKey, bytes),
        ),
      ];
    }
    if (path === '/v1/workers/challenge') {
      challenge = randomBytes(32);
      return [200, { challenge: toBase64Url(challenge), aud, expiresAtMs: clock() + 60_000 }];
    }
    if (method === 'DELETE') {
      const leave = LEAVE.parse(body);
      const registration = registrations.find(
        ({ key }) => toHex(key.statementHash) === leave.statementHash,
      );
      assert.ok(registration !== undefined);
      const { receiptKey, statementHash: hash } = registration.key;
      const signed = Buffer.concat([Buffer.from('veilgate.worker-leave/1\0'), hash]);
      assert.ok(verifyEd25519(receiptKey, fixed(fromBase64(leave.signature), 64), signed));
      left.push(path);
      return [204, undefined];
    }
    if (gateway.refuseNext > 0) {
      gateway.refuseNext--;
      return [503, { error: {} }];
    }
    return admit(body);
  };

  const admit = (body: unknown): readonly [number, unknown] => {
    const { evidence: encoded, endpoint, ownerSignature } = REGISTRATION.parse(body);
    const evidence = decodeEvidence(encoded);
    assert.ok(challenge !== undefined);
    const appraisal = appraise({
      evidence,
      policy,
      nowMs: clock(),
      aud,
      challenge: { equals: challenge },
      revocations: { waived: 'a fixture', by: 'test' },
    });
    if (appraisal.outcome === 'denied')
      return [403, { error: {}, verdict: verdictJson(appraisal) }];
    const { owner } = parseCard(evidence.card);
    const signature = fixed(fromBase64(ownerSignature), 64);
    assert.ok(verifyEd25519(owner, signature, statementHash(evidence.statement)));
    registrations.push({ key: appraisal.key, endpoint });
    return [200, { workerId: toHex(appraisal.key.workerId), verdict: {}, publishUntilMs: 0 }];
  };

  const server = createServer((request, response) => {
    const respond = async (): Promise<void> => {
      const hasBody = Number(request.headers['content-length'] ?? 0) > 0;
      const body: unknown = hasBody ? await readJson(request) : undefined;
      const [status, json] = answer(request.method ?? '', request.url ?? '', body);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(json === undefined ? '' : JSON.stringify(json));
    };
    respond().catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const gateway: TestGateway = {
    url: `http://127.0.0.1:${address.port}`,
    aud,
    registrations,
    left,
    refuseNext: 0,
    feeBps: 0,
    link: ({ key, endpoint }) =>
      createPinnedPool({
        origin: endpoint,
        trust: { kind: 'spki', sha256: [key.tlsSpkiSha256] },
        clientCertificate,
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return gateway;
}

function verdictJson(appraisal: {
  readonly verdict: { readonly checks: readonly object[] };
}): object {
  return { checks: appraisal.verdict.checks };
}
