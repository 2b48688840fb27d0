/**
 * A whole Veilgate whose gateway runs in a simulated TEE, with a real worker behind it, and OpenAI's client in front of it
 * through `attestedGatewayFetch`. @module
 */

import OpenAI from 'openai';
import { simulatedGatewayQuotes } from '../../cli/attested/quotes.ts';
import {
  attestedGatewayFetch,
  type AttestedGatewayFetch,
  type AttestedGatewayOptions,
} from '../../client/node/attested-gateway-fetch.ts';
import { ATTESTED_CONFIG } from './attested-lab.ts';
import { startStack, type Stack } from './stack.ts';

export interface AttestedStack extends Stack {
  /** `https://localhost:port/v1`. */
  readonly attestedUrl: string;
  attested(options?: Partial<AttestedGatewayOptions>): {
    readonly client: OpenAI;
    readonly fetch: AttestedGatewayFetch;
  };
}

export async function startAttestedStack(tee: 'tdx' | 'snp' = 'tdx'): Promise<AttestedStack> {
  const name = tee === 'tdx' ? 'simulator' : 'simulator-snp';
  const stack = await startStack({
    tee,
    gateway: {
      listen: { httpPort: 0, httpsPort: 0, hostNames: ['localhost', '127.0.0.1'] },
      attested: ATTESTED_CONFIG,
      plaintext: 'attested',
    },
    quotes: (pkiDir) => simulatedGatewayQuotes(name, pkiDir),
  });
  const attestedUrl = `https://localhost:${stack.httpsPort}/v1`;
  return {
    ...stack,
    attestedUrl,
    attested: (options = {}) => {
      const fetch = attestedGatewayFetch({
        policy: { root: stack.rootFile },
        gateway: stack.gateway.aud,
        ...options,
      });
      const common = { baseURL: attestedUrl, apiKey: stack.apiKey, maxRetries: 0 };
      return { fetch, client: new OpenAI({ ...common, fetch }) };
    },
  };
}
