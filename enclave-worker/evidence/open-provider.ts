/**
 * From configuration to a provider that works. Spec: tdx.md §8 "Reference for our worker": say which one was used.
 * @module
 */

import { providerError, workerError } from '../errors.ts';
import { detect } from './detect.ts';
import type { Finding } from './finding.ts';
import type { Guest } from './guest.ts';
import type { EvidenceProvider } from './provider.ts';
import { PROVIDERS, type EvidenceConfig } from './providers.ts';

export interface OpenContext {
  readonly guest: Guest;
  readonly signal: AbortSignal;
  /** Told what `auto` has tried, also when nothing was found. */
  readonly onFinding: (finding: Finding) => void;
}

/** Throws `evidence.*`; `evidence.none_found` names the reasons. */
export async function openProvider(
  config: EvidenceConfig,
  { guest, signal, onFinding }: OpenContext,
): Promise<EvidenceProvider> {
  if (config.provider === 'auto') {
    const { provider, tried } = await detect(guest, signal);
    for (const finding of tried) onFinding(finding);
    if (provider !== undefined) return provider;
    const reasons = tried.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
    throw providerError('evidence.none_found', reasons);
  }
  const kind = PROVIDERS.find(({ name }) => name === config.provider);
  if (kind === undefined) throw workerError('worker.config', 'evidence.provider');
  return kind.open(config, guest, signal);
}
