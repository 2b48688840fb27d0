/**
 * Where a session looks workers up: the gateway's signed document and the evidence it hands out. All of it is untrusted
 * until the session has appraised it. Spec: docs/protocol.md "Discovery".
 * @module
 */

import { z } from 'zod';
import type { Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { decodeEvidence, type EvidenceBundle } from '../attestation/evidence.ts';
import {
  gatewayDocumentJson,
  verifyGatewayDocument,
  type GatewayDocumentJson,
  type GatewaySettlement,
} from '../protocol/gateway-document.ts';
import { decodeModelNames } from '../protocol/openai/models.ts';
import { fetchDocuments } from './documents.ts';
import { clientError } from './errors.ts';
import { fetchBounded, type Fetch } from './fetch-bounded.ts';
import {
  CANDIDATES_MAX,
  DOCUMENT_TIMEOUT_MS,
  EVIDENCE_MAX_BYTES,
  GATEWAY_DOCUMENT_MAX_BYTES,
  MODEL_LIST_MAX_BYTES,
} from './limits.ts';
import type { Published } from './trust.ts';
import { withinTime } from './within-time.ts';

export interface Candidate {
  readonly claimedWorkerId: string;
  /** Decoded on demand, so that one unreadable bundle does not spoil the list. */
  readonly evidence: () => EvidenceBundle;
  /** What the gateway says it decided, unproven; for people who compare. */
  readonly claimedVerdict?: ClaimedVerdict;
  /** The challenge this side set itself, where it did; otherwise the statement is dated by its `iat`. */
  readonly challenge?: Bytes<32>;
}

export interface Evidence {
  readonly candidates: readonly Candidate[];
  /** Absent where trust is kept current by other means. */
  readonly published?: Published;
}

export interface ClaimedVerdict {
  readonly decision: 'admitted' | 'denied';
  readonly policy: { readonly name: string; readonly serial: number; readonly digest: string };
}

export interface ShownGateway {
  readonly aud: string;
  /** Absent where the gateway is this process: it need not prove to itself how it settles. */
  readonly books?: {
    readonly settlement: GatewaySettlement;
    readonly document: GatewayDocumentJson;
    readonly expiresMs: number;
  };
}

export interface Directory {
  /** The gateway's identity, from a document that it signed and that is not expired. */
  gateway(signal: AbortSignal): Promise<ShownGateway>;
  evidence(model: string, signal: AbortSignal): Promise<Evidence>;
  /** Names only, unproven. */
  modelNames(signal: AbortSignal): Promise<readonly string[]>;
}

const EVIDENCE_LIST = z.looseObject({
  candidates: z
    .array(
      z.looseObject({
        workerId: z.string().max(128),
        evidence: z.unknown(),
        verdict: z.unknown().optional(),
      }),
    )
    .max(CANDIDATES_MAX),
  publication: z.unknown().optional(),
});

const CLAIMED_VERDICT = z.object({
  decision: z.enum(['admitted', 'denied']),
  policy: z.object({
    name: z.string().max(128),
    serial: z.int().min(0),
    digest: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});

/** A verdict of another form is none: nothing rests on it. */
function claimedVerdict(json: unknown): Pick<Candidate, 'claimedVerdict'> {
  const read = CLAIMED_VERDICT.safeParse(json);
  return read.success ? { claimedVerdict: read.data } : {};
}

/** Throws `client.evidence` when the list itself is unreadable. */
export function decodeEvidenceList(json: unknown): {
  readonly candidates: readonly Candidate[];
  readonly staple: unknown;
} {
  const decoded = EVIDENCE_LIST.safeParse(json);
  if (!decoded.success) throw clientError('client.evidence');
  const { candidates, publication: staple } = decoded.data;
  return {
    candidates: candidates.map((entry) => ({
      claimedWorkerId: entry.workerId,
      evidence: () => decodeEvidence(entry.evidence),
      ...claimedVerdict(entry.verdict),
    })),
    staple,
  };
}

export interface FetchDirectoryOptions {
  readonly fetch: Fetch;
  /** Without the `/v1` of an OpenAI base URL. */
  readonly gatewayUrl: string;
  /** `Bearer …`, for gateways that show evidence to their users only. */
  readonly authorization: string | undefined;
  readonly clock: Clock;
}

export function fetchDirectory(options: FetchDirectoryOptions): Directory {
  const { gatewayUrl, clock } = options;
  const headers: Record<string, string> =
    options.authorization === undefined ? {} : { authorization: options.authorization };
  const get = async (path: string, maxBytes: number, caller: AbortSignal): Promise<unknown> => {
    const url = `${gatewayUrl}${path}`;
    const bytes = await withinTime(DOCUMENT_TIMEOUT_MS, caller, (signal) =>
      fetchBounded(options.fetch, url, { headers, maxBytes, signal }),
    );
    return readableJson(bytes, maxBytes);
  };
  const documents = fetchDocuments({
    fetch: options.fetch,
    baseUrl: `${gatewayUrl}/v1/publication`,
    headers,
  });
  return {
    gateway: async (signal) => {
      const json = await get('/v1/gateway', GATEWAY_DOCUMENT_MAX_BYTES, signal);
      const { aud, settlement, expiresMs } = verifyGatewayDocument(json, clock());
      return { aud, books: { settlement, document: gatewayDocumentJson(json), expiresMs } };
    },
    evidence: async (model, signal) => {
      const path = `/v1/evidence?model=${encodeURIComponent(model)}`;
      const { candidates, staple } = decodeEvidenceList(
        await get(path, EVIDENCE_MAX_BYTES, signal),
      );
      return { candidates, published: { staple, documents } };
    },
    modelNames: async (signal) => {
      const names = decodeModelNames(await get('/v1/models', MODEL_LIST_MAX_BYTES, signal));
      if (names === undefined) throw clientError('client.evidence', 'model list');
      return names;
    },
  };
}

/** The gateway's text: that it is no JSON is not the app's mistake. Throws `client.evidence`. */
function readableJson(bytes: Uint8Array, maxBytes: number): unknown {
  try {
    return parseJson(bytes, maxBytes);
  } catch (cause) {
    if (!(cause instanceof VeilError)) throw cause;
    throw clientError('client.evidence', 'not JSON', { cause });
  }
}
