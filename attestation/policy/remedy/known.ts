/**
 * Where a policy knows what a machine measured: perhaps the release is listed, in another image or under another rule.
 * Decides nothing. Spec: gpu-and-policy §5.5 (the note of `explain`).
 * @module
 */

import { equalPublic, isZero, toHex } from '../../../core/bytes.ts';
import type { TeeFacts } from '../../tee.ts';
import type { CompiledPolicy } from '../compile.ts';
import type { PolicyImage } from '../schema.ts';

export interface KnownTuple {
  readonly image: string;
  readonly shape: string;
  readonly at: string;
  /** What of it the machine measured; all, or some. */
  readonly same: readonly string[];
  readonly other: readonly string[];
}

type Register = readonly [name: string, listed: Uint8Array | undefined, got: Uint8Array];

/** Tuples of which the machine measured at least something that is not zero, nearest first. */
export function knownTuples(facts: TeeFacts, policy: CompiledPolicy): readonly KnownTuple[] {
  const { images } = policy.document;
  const found = images.flatMap((image, index) =>
    tuplesOf(facts, image).flatMap(({ shape, registers }, tuple) => {
      const isSame = ([, listed, got]: Register): boolean =>
        listed !== undefined && equalPublic(listed, got);
      const names = (rows: readonly Register[]): readonly string[] => rows.map(([name]) => name);
      const same = registers.filter(isSame);
      if (same.every(([, , got]) => isZero(got))) return [];
      const at = policy.at('images', index, facts.tee, tuple);
      const other = registers.filter((row) => !isSame(row));
      return [{ image: image.name, shape, at, same: names(same), other: names(other) }];
    }),
  );
  return found.toSorted((a, b) => a.other.length - b.other.length);
}

function tuplesOf(
  facts: TeeFacts,
  image: PolicyImage,
): readonly { readonly shape: string; readonly registers: readonly Register[] }[] {
  if (facts.tee === 'snp') {
    const { report } = facts.snp;
    return (image.snp ?? []).map((tuple) => ({
      shape: tuple.shape,
      registers: [
        ['measurement', tuple.measurement, report.measurement],
        ['host_data', tuple.host_data, report.hostData],
        ['id_key_digest', tuple.id_key_digest, report.idKeyDigest],
      ],
    }));
  }
  const { td } = facts.tdx;
  return (image.tdx ?? []).map((tuple) => ({
    shape: tuple.shape,
    registers: [
      ['mrtd', tuple.mrtd, td.mrTd],
      ['rtmr0', tuple.rtmr0, td.rtmr[0]],
      ['rtmr1', tuple.rtmr1, td.rtmr[1]],
      ['rtmr2', tuple.rtmr2, td.rtmr[2]],
      ['rtmr3', tuple.rtmr3, td.rtmr[3]],
      ['mrconfigid', image.mrconfigid, td.mrConfigId],
      ['mrowner', image.mrowner, td.mrOwner],
      ['mrownerconfig', image.mrownerconfig, td.mrOwnerConfig],
    ],
  }));
}

/** What it measured, by the names that policies have for it. */
export function measuredValues(facts: TeeFacts): ReadonlyMap<string, string> {
  if (facts.tee === 'snp') {
    const { measurement, hostData, idKeyDigest } = facts.snp.report;
    return new Map([
      ['measurement', toHex(measurement)],
      ['host_data', toHex(hostData)],
      ['id_key_digest', toHex(idKeyDigest)],
    ]);
  }
  const { td } = facts.tdx;
  return new Map([
    ['mrtd', toHex(td.mrTd)],
    ...td.rtmr.map((value, at): readonly [string, string] => [`rtmr${at}`, toHex(value)]),
    ['mrconfigid', toHex(td.mrConfigId)],
    ['mrowner', toHex(td.mrOwner)],
    ['mrownerconfig', toHex(td.mrOwnerConfig)],
  ]);
}
