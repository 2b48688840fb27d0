/**
 * The published client of EHBP in front of OpenAI's SDK, as an app has it: a key that was verified, and nothing of ours
 * between. @module
 */

import { Identity, Transport } from 'ehbp';
import OpenAI from 'openai';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import type { Stack } from './stack.ts';

export interface EhbpKey {
  readonly kid: Bytes<16>;
  readonly publicKey: Bytes<32>;
}

/** Of the worker that came last, as the gateway verified it. */
export function ehbpKeyOf({ gateway }: Pick<Stack, 'gateway'>): EhbpKey {
  const ehbp = gateway.registry.all().at(-1)?.key.ehbp;
  assert(ehbp !== undefined, 'the worker offers a key');
  return ehbp;
}

export async function transportOf(baseUrl: string, { publicKey }: EhbpKey): Promise<Transport> {
  return new Transport(await Identity.fromPublicKeyHex(toHex(publicKey)), new URL(baseUrl).host);
}

/** `baseUrl` of the gateway, with `/v1`. */
export async function ehbpOpenAi(
  { baseUrl, apiKey }: Pick<Stack, 'baseUrl' | 'apiKey'>,
  key: EhbpKey,
  defaultHeaders: Readonly<Record<string, string>> = {},
): Promise<OpenAI> {
  const transport = await transportOf(baseUrl, key);
  const { origin } = new URL(baseUrl);
  return new OpenAI({
    baseURL: `${origin}/e/${toHex(key.kid)}/v1`,
    apiKey,
    maxRetries: 0,
    defaultHeaders,
    fetch: (input, init) => transport.request(input, init),
  });
}
