/**
 * Quotes from the kernel's report interface, for TDX and SEV-SNP alike. Calls are made one after another, and again when
 * somebody was in the way. The single request is in tsm-entry.ts.
 * Spec: Linux Documentation/ABI/testing/configfs-tsm-report; tdx.md §8; sev-snp.md §5.
 * @module
 */

import { randomBytes } from '#primitives';
import { z } from 'zod';
import { QUOTE_MAX_BYTES } from '../../attestation/evidence.ts';
import type { TeeName } from '../../attestation/verdict.ts';
import { ascii, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { providerError } from '../errors.ts';
import {
  CERTIFICATE_TABLE_MAX_BYTES,
  COLLECT_ATTEMPTS_MAX,
  COLLECT_BACK_OFF_FIRST_MS,
  COLLECT_BACK_OFF_MAX_MS,
  COLLECT_TIMEOUT_MS,
  EVENT_LOG_MAX_BYTES,
} from '../limits.ts';
import { systemCodeOf, type Guest } from './guest.ts';
import { Lane } from './lane.ts';
import { assertOwnQuote, readSnpReport } from './own-quote.ts';
import type { CollectedEvidence, EventLog, EvidenceProvider } from './provider.ts';
import { translated, withEntry, type Entry } from './tsm-entry.ts';

export const CONFIGFS_TSM = 'configfs-tsm';
const PRIVLEVEL_MAX = 3;

export const CONFIGFS_TSM_CONFIG = z.strictObject({
  provider: z.literal(CONFIGFS_TSM),
  /** SEV-SNP: the VMPL to ask for. Policies want 0, the most privileged one. */
  privlevel: z.int().min(0).max(PRIVLEVEL_MAX).default(0),
});

export interface ConfigfsTsmOptions {
  readonly privlevel: number;
}

/**
 * Asks the kernel which kind of machine it is, and fails when it would not give quotes to this process. Throws
 * `evidence.*`.
 */
export async function openConfigfsTsm(
  { privlevel }: ConfigfsTsmOptions,
  guest: Guest,
  signal: AbortSignal,
): Promise<EvidenceProvider> {
  const lane = new Lane(guest);
  const inTurn = <Value>(
    attempt: (stop: AbortSignal) => Promise<Value>,
    outer: AbortSignal,
  ): Promise<Value> => {
    const stop = AbortSignal.any([outer, AbortSignal.timeout(COLLECT_TIMEOUT_MS)]);
    return lane.run(() => attempts(() => attempt(stop), guest, stop), stop);
  };
  const tee = await inTurn(
    (stop) =>
      withEntry(guest, stop, async (entry) => {
        const vendor = await entry.vendor();
        if (vendor === 'snp') await entry.assertPrivlevel(privlevel);
        return vendor;
      }),
    signal,
  );
  return {
    name: CONFIGFS_TSM,
    tee,
    simulated: false,
    collect: (reportData, caller = new AbortController().signal) =>
      inTurn((stop) => collect({ guest, tee, privlevel, reportData }, stop), caller),
  };
}

interface Request {
  readonly guest: Guest;
  readonly tee: TeeName;
  readonly privlevel: number;
  readonly reportData: Bytes<64>;
}

async function collect(request: Request, signal: AbortSignal): Promise<CollectedEvidence> {
  const { guest, tee } = request;
  const evidence = await withEntry(guest, signal, (entry) => requestQuote(entry, request));
  const eventLog = tee === 'tdx' ? await readEventLog(guest) : undefined;
  return eventLog === undefined ? evidence : { ...evidence, eventLog };
}

async function requestQuote(
  entry: Entry,
  { tee, privlevel, reportData }: Request,
): Promise<CollectedEvidence> {
  if ((await entry.vendor()) !== tee) {
    throw providerError('evidence.unsupported', 'the kernel speaks for another kind of machine');
  }
  if (tee === 'snp') {
    await entry.assertPrivlevel(privlevel);
    await entry.set('privlevel', ascii(String(privlevel)));
  }
  await entry.set('inblob', reportData);
  const quote = await entry.blob('outblob', QUOTE_MAX_BYTES);
  const certificates =
    tee === 'snp' ? await entry.optionalBlob('auxblob', CERTIFICATE_TABLE_MAX_BYTES) : undefined;
  // From here on the bytes are those of one request, ours; what they say is still the host's to choose.
  await entry.assertUntouched();
  assertOwnQuote(tee, quote, reportData);
  if (tee === 'snp' && readSnpReport(quote).vmpl !== privlevel) {
    throw providerError('evidence.privilege_level', 'the report is of another level');
  }
  return {
    tee,
    quote,
    ...(certificates === undefined ? {} : { certificates }),
  };
}

/** Absent is normal, and so is a log that only root may read: who needs it says so in a policy. */
async function readEventLog({ files, paths }: Guest): Promise<EventLog | undefined> {
  try {
    const bytes = await files.read(paths.ccel, EVENT_LOG_MAX_BYTES);
    return bytes.length === 0 ? undefined : { kind: 'ccel', bytes };
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EPERM'].includes(systemCodeOf(error))) return undefined;
    throw translated(error, 'CCEL');
  }
}

const WORTH_ANOTHER_ATTEMPT: readonly string[] = ['evidence.raced', 'evidence.busy'];

/** Again, ever more slowly, while others are in the way. Every attempt makes a directory of its own. */
async function attempts<Value>(
  attempt: () => Promise<Value>,
  { wait }: Guest,
  signal: AbortSignal,
): Promise<Value> {
  let waitMs = COLLECT_BACK_OFF_FIRST_MS;
  for (let left = COLLECT_ATTEMPTS_MAX; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      const again = error instanceof VeilError && WORTH_ANOTHER_ATTEMPT.includes(error.code);
      if (!again || left <= 1) throw error;
    }
    // An abort ends the wait; the next attempt sees it before it does anything.
    await wait(jittered(waitMs), signal);
    waitMs = Math.min(2 * waitMs, COLLECT_BACK_OFF_MAX_MS);
  }
}

/** Between half and all of it, so that two who met do not meet again. */
function jittered(ms: number): number {
  const [random = 0] = randomBytes(1);
  return Math.round((ms / 2) * (1 + random / 0xff));
}
