/**
 * Event log cases: a log and the four registers that a quote reports.
 * Spec: tdx vector corpus, "rtmr/manifest.json".
 * @module
 */

import { z } from 'zod';
import type { EventLog, Registers } from '../../attestation/tdx/event-log/event.ts';
import type { DstackFacts } from '../../attestation/tdx/event-log/facts.ts';
import { appraiseEventLog } from '../../attestation/tdx/event-log/replay.ts';
import { fixed, fromHex, toHex } from '../../core/bytes.ts';
import type { LogOutcome, ReadCaseFile, VectorKind, VectorOutcome } from './kind.ts';

const REGISTER = z
  .string()
  .regex(/^[0-9a-f]{96}$/)
  .transform((hex) => fixed(fromHex(hex), 48));

const CASE = z.object({
  kind: z.enum(['ccel', 'dstack']),
  log: z.string(),
  expectedRtmr: z.tuple([REGISTER, REGISTER, REGISTER, REGISTER]),
});

function run(entry: unknown, readFile: ReadCaseFile): VectorOutcome {
  const { kind, log, expectedRtmr } = CASE.parse(entry);
  const result = appraiseEventLog({ kind, bytes: readFile(log) }, expectedRtmr);
  const common = { warnings: [], authentic: null, tcb: null, fields: null };
  if (result.verdict === 'reject') {
    const { verdict, failing } = result;
    return { verdict, failing, ...common, replayed: null, facts: null };
  }
  const read = result.verdict === 'match' ? result.facts : undefined;
  const facts = read?.outcome === 'read' ? read.value : undefined;
  return {
    verdict: result.verdict,
    failing: result.failing,
    ...common,
    ...logFieldsOf(result.log, result.replayed),
    facts: facts === undefined ? null : factFieldsOf(facts),
    ...(facts === undefined
      ? {}
      : { applicationEvents: facts.applicationEvents.map(({ name }) => name) }),
  };
}

function logFieldsOf({ kind, events }: EventLog, replayed: Registers): Omit<LogOutcome, 'facts'> {
  return {
    replayed: replayed.map(toHex),
    events: events.length,
    ...(kind === 'dstack'
      ? {}
      : {
          list: events.map(({ register, type, digest, data }) => [
            register === 'mrtd' ? null : register,
            type,
            toHex(digest),
            data.length,
          ]),
        }),
  };
}

function factFieldsOf(facts: DstackFacts): Readonly<Record<string, string>> {
  const { appId, composeHash, instanceId, osImageHash, keyProvider } = facts;
  return {
    appId: toHex(appId),
    composeHash: toHex(composeHash),
    instanceId: toHex(instanceId),
    ...(osImageHash === undefined ? {} : { osImageHash: toHex(osImageHash) }),
    ...(keyProvider === undefined ? {} : { keyProvider }),
  };
}

export const rtmrVectors: VectorKind = { name: 'rtmr', run };
