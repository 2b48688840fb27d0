/**
 * Puts a provider of evidence into a gateway that runs in a TEE: the same providers as a worker's, and whoever finds what a
 * verifier needs beside a quote. Spec: docs/attested-gateway.md "Configuration".
 * @module
 */

import type { Endorser } from '../../attestation/collateral/endorser.ts';
import { providerError } from '../../enclave-worker/errors.ts';
import type { EvidenceProvider } from '../../enclave-worker/evidence/provider.ts';
import {
  DEMO_GATEWAY_MEASUREMENTS,
  DEMO_GATEWAY_SNP_MEASUREMENT,
} from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createSnpSimulator } from '../../enclave-worker/evidence/simulator/snp/simulator.ts';
import type { QuoteSource } from '../../gateway/attested/quote-source.ts';

export function quoteSource(provider: EvidenceProvider, endorser?: Endorser): QuoteSource {
  const { tee, simulated } = provider;
  return {
    tee,
    simulated,
    quote: async (reportData, signal) => {
      const { quote, certificates, endorsements } = await provider.collect(reportData, signal);
      if (endorsements !== undefined) return { quote, endorsements };
      if (endorser === undefined) {
        throw providerError('evidence.endorsements', 'a real machine needs a source of them');
      }
      const question = { tee, quote, ...(certificates === undefined ? {} : { certificates }) };
      return { quote, endorsements: await endorser.endorse(question, signal) };
    },
  };
}

/** Under the roots that are in `pkiDir`, or are made there. */
export async function simulatedGatewayQuotes(
  name: 'simulator' | 'simulator-snp',
  pkiDir: string,
): Promise<QuoteSource> {
  return quoteSource(
    name === 'simulator'
      ? await createSimulator({ pkiDir, measurements: DEMO_GATEWAY_MEASUREMENTS })
      : await createSnpSimulator({ pkiDir, measurement: DEMO_GATEWAY_SNP_MEASUREMENT }),
  );
}
