/**
 * The machine: which way to evidence it has, whether it gives a quote, and whether its event log tells the same story.
 * Spec: tdx.md §8, §9; sev-snp.md §5.
 * @module
 */

import { randomBytes } from '#primitives';
import { appraiseEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import { VeilError } from '../../core/errors.ts';
import { detect } from '../../enclave-worker/evidence/detect.ts';
import type { Guest } from '../../enclave-worker/evidence/guest.ts';
import { openProvider } from '../../enclave-worker/evidence/open-provider.ts';
import type {
  CollectedEvidence,
  EvidenceProvider,
} from '../../enclave-worker/evidence/provider.ts';
import type { EvidenceConfig } from '../../enclave-worker/evidence/providers.ts';
import { ok, problem, skipped, warning, type DoctorFinding } from './finding.ts';

export interface MachineReport {
  readonly findings: readonly DoctorFinding[];
  readonly provider?: EvidenceProvider;
  readonly collected?: CollectedEvidence;
}

export async function examineMachine(
  config: EvidenceConfig,
  guest: Guest,
  signal: AbortSignal,
): Promise<MachineReport> {
  const found =
    config.provider === 'auto'
      ? await detected(guest, signal)
      : await configured(config, guest, signal);
  const { provider } = found;
  if (provider === undefined) {
    const rest = ['quote', 'eventLog'].map((id) => skipped(id, 'no way to evidence'));
    return { findings: [...found.findings, ...rest] };
  }
  const quoted = await quote(provider, signal);
  const { collected } = quoted;
  return {
    findings: [...found.findings, quoted.finding, eventLog(collected)],
    provider,
    ...(collected === undefined ? {} : { collected }),
  };
}

interface Found {
  readonly findings: readonly DoctorFinding[];
  readonly provider?: EvidenceProvider;
}

async function detected(guest: Guest, signal: AbortSignal): Promise<Found> {
  const { provider, tried } = await detect(guest, signal);
  const findings = tried.map(({ name, found, detail, remedy }): DoctorFinding => {
    const id = `machine.${name}`;
    if (found && remedy === undefined) return ok(id, detail);
    // One way is enough: the others are problems, and worth a remedy, only when there is none.
    if (found && provider === undefined) return problem(id, detail, remedy ?? '');
    if (found) return warning(id, detail, `Nothing to do: ${provider?.name} works.`);
    return skipped(id, detail, provider === undefined ? remedy : undefined);
  });
  return {
    findings: [
      ...findings,
      provider === undefined
        ? problem(
            'machine',
            'no way to evidence was found: this machine cannot prove what it is',
            'Follow the remedies above; docs/workers.md has a section per kind of machine.',
          )
        : ok('machine', `${provider.tee} through ${provider.name}`),
    ],
    ...(provider === undefined ? {} : { provider }),
  };
}

async function configured(
  config: EvidenceConfig,
  guest: Guest,
  signal: AbortSignal,
): Promise<Found> {
  try {
    const provider = await openProvider(config, { guest, signal, onFinding: () => undefined });
    const detail = `${provider.tee} through ${provider.name}`;
    const finding = provider.simulated
      ? warning(
          'machine',
          `${detail}: SIMULATED, protects nothing`,
          'Remove evidence.provider from the configuration on a real machine.',
        )
      : ok('machine', detail);
    return { findings: [finding], provider };
  } catch (error) {
    const remedy = `The configuration asks for ${config.provider}; with provider: auto doctor says what there is.`;
    return { findings: [problem('machine', textOf(error), remedy)] };
  }
}

async function quote(
  provider: EvidenceProvider,
  signal: AbortSignal,
): Promise<{ readonly finding: DoctorFinding; readonly collected?: CollectedEvidence }> {
  try {
    const collected = await provider.collect(randomBytes(64), signal);
    const certificates = collected.certificates?.length ?? 0;
    const beside = certificates > 0 ? `, ${certificates} bytes of certificates beside it` : '';
    return { finding: ok('quote', `${collected.quote.length} bytes${beside}`), collected };
  } catch (error) {
    const remedy = 'docs/workers.md explains each evidence.* code.';
    return { finding: problem('quote', textOf(error), remedy) };
  }
}

/** A log that contradicts the quote is somebody's mistake or worse; no log is normal. */
function eventLog(collected: CollectedEvidence | undefined): DoctorFinding {
  const id = 'eventLog';
  if (collected?.eventLog === undefined) return skipped(id, 'none was delivered');
  if (collected.tee !== 'tdx') return skipped(id, 'only TDX has run-time registers');
  const result = appraiseEventLog(collected.eventLog, parseTdxQuote(collected.quote).td.rtmr);
  if (result.verdict === 'match')
    return ok(id, `replays to RTMR0 to RTMR3 (${collected.eventLog.kind})`);
  return warning(
    id,
    `${collected.eventLog.kind}: ${result.verdict}, ${result.failing.join(', ')}`,
    'Nothing is decided by the log; "veilgate measure tdx" shows it event by event.',
  );
}

export function textOf(error: unknown): string {
  if (error instanceof VeilError) return error.message;
  return 'unknown failure';
}
