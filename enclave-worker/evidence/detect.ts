/**
 * Which way to evidence this machine has: for `provider: auto`, and as data for `veilgate doctor`. The simulator is not
 * among them; it has to be asked for by name. Spec: tdx.md §8 "Reference for our worker"; overview "Simulated machines".
 * @module
 */

import { probeAzure } from './azure.ts';
import { probeDstack } from './dstack.ts';
import type { Finding, Probe } from './finding.ts';
import type { Guest } from './guest.ts';
import { stopErrorOf } from './lane.ts';
import type { EvidenceProvider } from './provider.ts';
import { probeConfigfsTsm } from './tsm-diagnosis.ts';

export interface Detection {
  /** The first of `tried` that can be used, ready for use. */
  readonly provider?: EvidenceProvider;
  /** Every way that was tried, in the order of preference. */
  readonly tried: readonly Finding[];
}

/** The agent before the kernel: on dstack machines it is the one that knows the event log. */
const PROBES: readonly ((guest: Guest, signal: AbortSignal) => Promise<Probe>)[] = [
  probeDstack,
  probeConfigfsTsm,
  probeAzure,
];

/** Tries all of them, so that the list is complete. Throws only when `signal` aborts. */
export async function detect(guest: Guest, signal: AbortSignal): Promise<Detection> {
  const probes: Probe[] = [];
  for (const probe of PROBES) {
    probes.push(await probe(guest, signal));
    // What was found after that may only look like a failure.
    if (signal.aborted) throw stopErrorOf(signal);
  }
  const tried = probes.map(({ finding }) => finding);
  const provider = probes.find((probe) => probe.provider !== undefined)?.provider;
  return provider === undefined ? { tried } : { provider, tried };
}
