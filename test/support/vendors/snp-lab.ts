/** A lab in which AMD is there too: one product, one chip, and the verifier that everything ends with. @module */

import type { CollateralStore } from '../../../attestation/collateral/collateral-store.ts';
import type { AmdAuthority } from '../../../attestation/collateral/amd-authority.ts';
import { createAmdAuthority } from '../../../attestation/collateral/amd-judge.ts';
import type { SnpAnchor } from '../../../attestation/snp/anchors.ts';
import type { SnpEndorsements } from '../../../attestation/snp/endorsements.ts';
import { verifySnp } from '../../../attestation/snp/verify.ts';
import { parseCertificate } from '../../../attestation/pki/certificate.ts';
import { assert } from '../../../core/errors.ts';
import { buildSnpCase, type SnpCase, type SnpFaults } from '../snp/case.ts';
import { createSnpTestPki, type SnpTestPki } from '../snp/pki.ts';
import { amdShelf, type AmdShelf } from './amd.ts';
import { createLab, type Lab, type LabChanges } from './lab.ts';

export interface SnpLab extends Omit<Lab, 'make' | 'sound' | 'pki' | 'intel'> {
  readonly pki: SnpTestPki;
  readonly sound: SnpCase;
  readonly shelf: AmdShelf;
  readonly authority: AmdAuthority;
  readonly make: (faults: SnpFaults) => Promise<SnpCase>;
  /** Whether the sound report is accepted with these. */
  readonly accepts: (endorsements: SnpEndorsements) => boolean;
}

let sharedPki: Promise<SnpTestPki> | undefined;

type Product = NonNullable<SnpFaults['product']>;

/** Trusts the root of `sound`: cases made with the same faults have the same one. */
export async function createSnpLab(faults: SnpFaults = {}): Promise<SnpLab> {
  sharedPki ??= createSnpTestPki();
  const pki = await sharedPki;
  const sound = await buildSnpCase(pki, faults);
  const product: Product = faults.product ?? 'Genoa';
  const shelf = amdShelf(product, endorsementsOf(sound), faults.signer);
  const lab = await createLab(shelf.shelf);
  const authority = createAmdAuthority(anchorsOf(sound));
  return {
    ...lab,
    pki,
    sound,
    shelf,
    authority,
    make: (more) => buildSnpCase(pki, { ...faults, ...more }),
    open: async (changes: LabChanges = {}): Promise<CollateralStore> =>
      await lab.open({ amd: authority, ...changes }),
    accepts: (endorsements) =>
      verifySnp({
        ...sound,
        nowMs: lab.time.now(),
        evidence: { ...sound.evidence, endorsements },
      }).accepted,
  };
}

/** With the certificate, so that the root's lists can be judged. */
export function anchorsOf({ certificates }: SnpCase): readonly SnpAnchor[] {
  const certificate = parseCertificate(certificates.root.der);
  return [{ sha256: certificate.sha256, certificate, simulated: true }];
}

export function endorsementsOf({ evidence }: SnpCase): Required<SnpEndorsements> {
  const { vek, intermediate, root, crl } = evidence.endorsements;
  assert(vek !== undefined && intermediate !== undefined, 'a sound case has a leaf and its issuer');
  assert(root !== undefined && crl !== undefined, 'a sound case has a root and its list');
  return { vek, intermediate, root, crl };
}
