/**
 * A store with everything around it fake but the cryptography: vendors, disk, time, chance. What a test does not name is
 * sound. @module
 */

import type { AmdAuthority } from '../../../attestation/collateral/amd-authority.ts';
import {
  CollateralStore,
  type CollateralStoreOptions,
} from '../../../attestation/collateral/collateral-store.ts';
import { collateralError } from '../../../attestation/collateral/errors.ts';
import type { CollateralEvent } from '../../../attestation/collateral/events.ts';
import {
  createIntelAuthority,
  type IntelAuthority,
} from '../../../attestation/collateral/intel-judge.ts';
import { kdsSource } from '../../../attestation/collateral/kds.ts';
import { pcsSource } from '../../../attestation/collateral/pcs.ts';
import type { Ports } from '../../../attestation/collateral/ports.ts';
import type { Source } from '../../../attestation/collateral/source.ts';
import { decodePemBlock, splitPemCertificates } from '../../../attestation/pem.ts';
import type { TdxCollateral } from '../../../attestation/tdx/collateral.ts';
import { ManualTime } from '../manual-time.ts';
import { buildCase, type Faults, type TdxCase } from '../tdx/case.ts';
import { createTestPki, NOW_MS, type TestPki } from '../tdx/pki.ts';
import { Desk, type Shelf } from './desk.ts';
import { intelShelf, type IntelShelf } from './intel.ts';
import { MemoryBlobs } from './memory-blobs.ts';

export const PCS_ORIGIN = 'https://pcs.test';
export const KDS_ORIGIN = 'https://kds.test';

export function pcsAt(origin: string): Source {
  return pcsSource({ api: { origin, prefix: '' }, certificates: { origin, prefix: '' } });
}

export function kdsAt(origin: string): Source {
  return kdsSource({ origin, prefix: '' });
}

/** For stores that never see AMD. */
export const NO_AMD: AmdAuthority = {
  judge: () => {
    throw collateralError('collateral.invalid', 'no AMD in this test');
  },
  builtIn: () => undefined,
  question: () => {
    throw collateralError('collateral.evidence', 'no AMD in this test');
  },
};

/** Trusts the root that this case was made with: a case with other certificates has a root certificate of its own. */
export function intelAuthorityOf({ tcbInfoIssuerChain }: TdxCollateral): IntelAuthority {
  const [, root] = splitPemCertificates(tcbInfoIssuerChain);
  return createIntelAuthority(decodePemBlock(root ?? ''));
}

export interface Lab {
  readonly pki: TestPki;
  readonly sound: TdxCase;
  readonly intel: IntelShelf;
  readonly desk: Desk;
  readonly time: ManualTime;
  readonly blobs: MemoryBlobs;
  readonly events: CollateralEvent[];
  readonly signal: AbortSignal;
  /** Another store on the same desk, time and disk: as after a restart. */
  readonly open: (changes?: LabChanges) => Promise<CollateralStore>;
  /** The vendor's documents as this case has them. */
  readonly make: (faults: Faults) => Promise<TdxCase>;
}

export interface LabChanges extends Partial<Omit<CollateralStoreOptions, 'ports'>> {
  readonly ports?: Partial<Ports>;
  /** No network at all. */
  readonly offline?: true;
  /** No disk at all. */
  readonly forgetful?: true;
}

let sharedPki: Promise<TestPki> | undefined;

/** Keys are made once per process; everything else is the caller's own. */
export async function createLab(...shelves: readonly Shelf[]): Promise<Lab> {
  sharedPki ??= createTestPki();
  const pki = await sharedPki;
  const sound = await buildCase(pki);
  const intel = intelShelf(sound.collateral);
  const desk = new Desk(intel.shelf, ...shelves);
  const time = new ManualTime(NOW_MS);
  const blobs = new MemoryBlobs();
  const events: CollateralEvent[] = [];
  return {
    pki,
    sound,
    intel,
    desk,
    time,
    blobs,
    events,
    signal: new AbortController().signal,
    make: (faults) => buildCase(pki, faults),
    open: ({ ports, offline, forgetful, ...changes } = {}) =>
      CollateralStore.open({
        ports: {
          now: time.now,
          pause: time.pause,
          random: () => 0.5,
          ...(forgetful === true ? {} : { blobs }),
          ...(offline === true ? {} : { fetch: desk.fetch }),
          ...ports,
        },
        intel: createIntelAuthority(pki.sound.root.der),
        amd: NO_AMD,
        sources: [pcsAt(PCS_ORIGIN), kdsAt(KDS_ORIGIN)],
        edition: 'standard',
        amdList: 'required',
        onEvent: (event) => events.push(event),
        ...changes,
      }),
  };
}
