/**
 * A gateway as a payer asks it: who it is and how it wants to be paid, what it knows of a channel, and to close one. Its
 * document is believed by its signature; everything else it says is shown as its word and nothing rests on it.
 * Spec: ton-settlement §4.5.
 * @module
 */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import {
  createPinnedPool,
  fetchJson,
  type FetchedJson,
  type HttpPool,
} from '../../core/node/http-client.ts';
import { printable } from '../../core/node/terminal.ts';
import {
  verifyGatewayDocument,
  type VerifiedGatewayDocument,
} from '../../protocol/gateway-document.ts';
import { announcedChannelJson, type AnnouncedChannel } from '../../settlement/channel-terms.ts';
import { formatPass } from '../../settlement/pass.ts';
import type { Token } from '../../settlement/token.ts';
import { formatVoucher } from '../../settlement/voucher.ts';
import { PASS_HEADER, paymentHeaders } from '../../settlement/x402.ts';
import { cliError } from '../errors.ts';
import { moneyError } from '../ton/errors.ts';
import {
  ANSWER_MAX_BYTES,
  DOCUMENT_MAX_BYTES,
  GATEWAY_TIMEOUT_MS,
  WORDS_MAX_CHARS,
} from '../ton/limits.ts';

const DECIMAL = z
  .union([z.string().regex(/^\d{1,19}$/), z.int().min(0)])
  .transform((value) => BigInt(value));

const CHANNEL_STATE = z.object({
  channel: z.string().regex(/^[0-9a-f]{64}$/),
  epoch: DECIMAL,
  deposited: DECIMAL,
  refunded: DECIMAL,
  withdrawing: DECIMAL,
  claimed: DECIMAL,
  // To its payer only.
  ceiling: DECIMAL.optional(),
  charged: DECIMAL.optional(),
  reserved: DECIMAL.optional(),
  n: DECIMAL.optional(),
});
/** What the gateway's books say; nanoTON. */
export type GatewayChannel = z.output<typeof CHANNEL_STATE>;

const ANNOUNCED = z.object({ channel: z.string().regex(/^[0-9a-f]{64}$/) });
const CLOSING = z.object({ closing: z.literal(true) });
const REFUSAL = z.object({
  error: z.object({
    code: z.string().max(64).nullish(),
    message: z.string().max(4096).nullish(),
  }),
});

export interface PayerGateway {
  readonly origin: string;
  /** Signed by the key that it names, and in its time. Throws `gatewayDocument.*`, `http.*`, `money.refused`. */
  document(): Promise<VerifiedGatewayDocument>;
  /** Throws `money.refused`, `money.gateway`, `http.*`. */
  announce(channel: AnnouncedChannel): Promise<void>;
  /**
   * Undefined: it knows no such channel. Where a channel stands is shown to whoever shows its key, whatever the voucher
   * promises. Throws as above.
   */
  channel(id: Bytes<32>, shown?: Token): Promise<GatewayChannel | undefined>;
  /** From now on it may be spent. Throws as above. */
  raise(shown: Token): Promise<void>;
  /** `proof`: signed by the payer's key, so that nobody else can have it closed. Throws as above. */
  close(id: Bytes<32>, proof: JsonObject): Promise<void>;
  end(): Promise<void>;
}

export interface GatewayOptions {
  /** Of an authority that its certificate comes from; the public ones where absent. */
  readonly cacert?: string;
}

/** Takes the base URL that apps use too. Throws `cli.option`, `http.origin`. */
export function openGateway(
  url: string,
  { cacert }: GatewayOptions,
  { now, signal }: { readonly now: Clock; readonly signal: AbortSignal },
): PayerGateway {
  const { origin } = gatewayUrl(url);
  const pool = createPinnedPool({ origin, trust: trustOf(origin, cacert), connectionsMax: 2 });
  const ask = asker(pool, signal);
  return {
    origin,
    document: async () => {
      const answer = await ask({
        method: 'GET',
        path: '/v1/gateway',
        maxBytes: DOCUMENT_MAX_BYTES,
      });
      assertOk(answer);
      return verifyGatewayDocument(answer.json, now());
    },
    announce: async (channel) => {
      const json = announcedChannelJson(channel);
      const answer = await ask({ method: 'POST', path: '/v1/channels', json });
      assertOk(answer);
      const told = ANNOUNCED.safeParse(answer.json);
      if (!told.success || told.data.channel !== toHex(channel.channel)) {
        throw moneyError('money.gateway', 'it answered about another channel');
      }
    },
    channel: async (id, shown) => {
      const headers = shown === undefined ? {} : paymentHeaders(shown);
      const answer = await ask({ method: 'GET', path: `/v1/channels/${toHex(id)}`, headers });
      if (answer.status === 404) return undefined;
      assertOk(answer);
      const told = CHANNEL_STATE.safeParse(answer.json);
      if (!told.success || told.data.channel !== toHex(id)) {
        throw moneyError('money.gateway', 'what it says of the channel cannot be read');
      }
      return told.data;
    },
    raise: async ({ voucher, pass }) => {
      const json = { voucher: formatVoucher(voucher) };
      const headers = { [PASS_HEADER]: formatPass(pass) };
      assertOk(await ask({ method: 'POST', path: '/v1/payments/voucher', json, headers }));
    },
    close: async (id, proof) => {
      const path = `/v1/channels/${toHex(id)}/close`;
      const answer = await ask({ method: 'POST', path, json: proof });
      assertOk(answer);
      if (!CLOSING.safeParse(answer.json).success) {
        throw moneyError('money.gateway', 'it does not say that it closes');
      }
    },
    end: async () => await pool.destroy(),
  };
}

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly json?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
  readonly maxBytes?: number;
}

function asker(pool: HttpPool, signal: AbortSignal) {
  return async ({ maxBytes = ANSWER_MAX_BYTES, ...question }: Question): Promise<FetchedJson> =>
    await fetchJson(pool, { ...question, maxBytes, timeoutMs: GATEWAY_TIMEOUT_MS, signal });
}

/** Throws `cli.option`. */
export function gatewayUrl(text: string): URL {
  if (!URL.canParse(text)) throw cliError('cli.option', 'the gateway is not a URL');
  const url = new URL(text);
  const isPlain =
    url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (isPlain && /^\/(?:v1\/?)?$/.test(url.pathname) && /^https?:$/.test(url.protocol)) return url;
  throw cliError('cli.option', 'the gateway is https://host, with or without /v1');
}

function trustOf(origin: string, cacert: string | undefined) {
  if (origin.startsWith('http:')) return { kind: 'loopback' } as const;
  if (cacert === undefined) return { kind: 'webpki' } as const;
  try {
    return { kind: 'ca', certificatesPem: readFileSync(cacert, 'utf8') } as const;
  } catch (cause) {
    throw cliError('cli.file', `${cacert} cannot be read`, { cause });
  }
}

function assertOk({ status, json }: FetchedJson): void {
  if (status === 200) return;
  const told = REFUSAL.safeParse(json);
  const { code, message } = told.success ? told.data.error : {};
  // Its words are shown, because they are for this person; they decide nothing and move no cursor.
  const words = printable(message ?? '').slice(0, WORDS_MAX_CHARS);
  const known = typeof code === 'string' && CODE.test(code) ? code : undefined;
  const detail = `the gateway answered ${status}${known === undefined ? '' : ` ${known}`}`;
  throw moneyError('money.refused', words === '' ? detail : `${detail}: ${words}`, {
    facts: { refusedStatus: status, ...(known === undefined ? {} : { refusedCode: known }) },
  });
}

const CODE = /^[a-z][a-z0-9_.]{0,63}$/;
const PASSING: readonly number[] = [409, 425, 429, 502, 503, 504];
const PASSING_CODES: readonly string[] = ['channel_unknown', 'channel_idle'];

/** What may be otherwise in a moment: the gateway has not seen the deposit yet, or cannot be reached just now. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof VeilError)) return false;
  if (error.code.startsWith('http.')) return error.code !== 'http.origin';
  const { refusedStatus, refusedCode } = error.facts;
  if (typeof refusedCode === 'string' && PASSING_CODES.includes(refusedCode)) return true;
  return typeof refusedStatus === 'number' && PASSING.includes(refusedStatus);
}
