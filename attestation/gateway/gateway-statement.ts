/**
 * The one document that the quote of a gateway in a TEE covers: which gateway, for which host names, its keys, what runs.
 * Hashed exactly as received; reading it proves nothing. Its format and its label in the report data are its own, so that no
 * quote of a worker can stand for a gateway, nor the reverse. Spec: docs/attested-gateway.md "Statement".
 * @module
 */

import { sha256, sha512 } from '#primitives';
import { z } from 'zod';
import { ascii, concat, toBase64Url, utf8, type Bytes } from '../../core/bytes.ts';
import { canonicalJson } from '../../core/json.ts';
import { base64UrlField } from '../byte-fields.ts';
import { readStated, STATED_INSTANT } from '../read-stated.ts';
import type { TeeName } from '../verdict.ts';

export const GATEWAY_STATEMENT_FORMAT = 'veilgate.gateway-statement/1';
export const GATEWAY_STATEMENT_MAX_BYTES = 8192;
export const GATEWAY_HOSTS_MAX = 64;
const HOST_MAX_CHARS = 253;
const LEDGER_KEYS_MAX = 16;

export interface GatewayStatement {
  readonly fmt: typeof GATEWAY_STATEMENT_FORMAT;
  /** The gateway itself: `gw1.` and the hash of `keys.identity`. */
  readonly aud: string;
  /** Under which it is reached: as `URL.hostname` writes them. */
  readonly hosts: readonly string[];
  /** Unix seconds, by the guest's clock. */
  readonly iat: number;
  readonly exp: number;
  /** The challenge of a verifier; null in the statement that is published. */
  readonly nonce: Bytes<32> | null;
  readonly tee: TeeName;
  readonly keys: {
    /** Raw Ed25519: signs the document at `/v1/gateway`. Outlives the machine, so that its owner may know it. */
    readonly identity: Bytes<32>;
    /** Of the listener. Made in the machine, never written anywhere, gone with the process. */
    readonly tls: { readonly spkiSha256: Bytes<32> };
    /** Raw Ed25519: sign what was settled. */
    readonly ledger: readonly Bytes<32>[];
  };
  readonly workload: { readonly image: Bytes<32>; readonly config: Bytes<32> };
}

/** As `URL.hostname` writes names and addresses. */
export const HOST_NAME = z
  .string()
  .min(1)
  .max(HOST_MAX_CHARS)
  .regex(/^[a-z0-9.:[\]_-]+$/, 'want a host name in lower case');

const SCHEMA = z.strictObject({
  fmt: z.literal(GATEWAY_STATEMENT_FORMAT),
  aud: z.string().regex(/^gw1\.[A-Za-z0-9_-]{43}$/, 'want gw1.…'),
  hosts: z.array(HOST_NAME).min(1).max(GATEWAY_HOSTS_MAX),
  iat: STATED_INSTANT,
  exp: STATED_INSTANT,
  nonce: base64UrlField(32).nullable(),
  tee: z.enum(['tdx', 'snp']),
  keys: z.strictObject({
    identity: base64UrlField(32),
    tls: z.strictObject({ spkiSha256: base64UrlField(32) }),
    ledger: z.array(base64UrlField(32)).max(LEDGER_KEYS_MAX),
  }),
  workload: z.strictObject({ image: base64UrlField(32), config: base64UrlField(32) }),
});
const FORM = {
  format: GATEWAY_STATEMENT_FORMAT,
  maxBytes: GATEWAY_STATEMENT_MAX_BYTES,
  schema: SCHEMA,
};

/** Checks the form only. Throws `statement.malformed`, `statement.format`, `statement.schema`. */
export function parseGatewayStatement(bytes: Uint8Array): GatewayStatement {
  return readStated(bytes, FORM);
}

export type GatewayStatementFields = Omit<GatewayStatement, 'fmt' | 'aud'>;

/** RFC 8785 bytes; `aud` follows from the identity. Throws as `parseGatewayStatement`. */
export function encodeGatewayStatement(statement: GatewayStatementFields): Uint8Array {
  const { keys, workload, nonce } = statement;
  const bytes = utf8(
    canonicalJson({
      fmt: GATEWAY_STATEMENT_FORMAT,
      aud: gatewayAudOf(keys.identity),
      hosts: statement.hosts,
      iat: statement.iat,
      exp: statement.exp,
      nonce: nonce === null ? null : toBase64Url(nonce),
      tee: statement.tee,
      keys: {
        identity: toBase64Url(keys.identity),
        tls: { spkiSha256: toBase64Url(keys.tls.spkiSha256) },
        ledger: keys.ledger.map((key) => toBase64Url(key)),
      },
      workload: { image: toBase64Url(workload.image), config: toBase64Url(workload.config) },
    }),
  );
  // What we would not accept we do not send.
  parseGatewayStatement(bytes);
  return bytes;
}

/** The same as `audOf` of the gateway's document. Spec: overview "Identities". */
export function gatewayAudOf(identity: Bytes<32>): string {
  return `gw1.${toBase64Url(sha256(identity))}`;
}

const REPORT_DATA_TAG = concat(ascii('veilgate.gateway-report-data/1'), Uint8Array.of(0));

/** What the quote's report data must be, over the bytes as transmitted. */
export function gatewayReportDataOf(statementBytes: Uint8Array): Bytes<64> {
  return sha512(REPORT_DATA_TAG, statementBytes);
}
