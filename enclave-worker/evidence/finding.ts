/**
 * What looking for one way to get evidence has shown, as data: `veilgate doctor` prints it, the worker logs the reason.
 * All texts are ours; nothing that a machine said is repeated. Spec: STYLE §6, §7.
 * @module
 */

import type { EvidenceProvider } from './provider.ts';

export interface Finding {
  readonly name: string;
  /** The way exists here. It can be used when there is no remedy to follow first. */
  readonly found: boolean;
  /** For machines: lower case words and hyphens, such as `kernel-too-old`. */
  readonly reason: string;
  readonly detail: string;
  /** What the operator of this machine can do about it. */
  readonly remedy?: string;
}

export interface Probe {
  readonly finding: Finding;
  /** Only when the way can be used. */
  readonly provider?: EvidenceProvider;
}

/** Where remedies send people who need more than a sentence. */
export const WORKERS_PAGE = 'docs/workers.md';
export const AZURE_PAGE = 'docs/azure.md';
