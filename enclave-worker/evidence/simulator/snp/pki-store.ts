/**
 * The development hierarchy of the SNP simulator, kept on disk by pki-folder.ts. It has keys of the size that verifiers
 * demand of AMD's, which takes seconds to make: once per folder.
 * @module
 */

import {
  exportPublicKey,
  generateP384,
  generateRsaPss,
  importP384,
  importRsaPss,
} from '../../../../attestation/x509-keys.ts';
import { issue, type Issued } from '../authority.ts';
import { developmentValidity, halfPki, openPkiFolder, type ReadMember } from '../pki-folder.ts';
import {
  amdName,
  arkProfile,
  CA_SCHEME,
  intermediateProfile,
  RSA_BITS,
  vekProfile,
} from './hierarchy.ts';
import { MACHINE_PRODUCT, MACHINE_TCB, machineChipId } from './machine.ts';

export interface SnpDevelopmentPki {
  readonly ark: Issued;
  readonly ask: Issued;
  readonly vcek: Issued;
}

const FOLDER = 'veilgate-development-snp-pki-1';
const PRODUCT = MACHINE_PRODUCT;
const NAMES = {
  ark: amdName('ark', PRODUCT),
  ask: amdName('ask', PRODUCT),
  vcek: amdName('vcek', PRODUCT),
} as const;

/** Throws `simulator.pki` when the folder holds something else than a whole hierarchy. */
export async function openSnpDevelopmentPki(
  pkiDir: string,
  nowMs: number,
): Promise<SnpDevelopmentPki> {
  return await openPkiFolder(pkiDir, {
    folder: FOLDER,
    load: loadPki,
    make: async () => await makePki(nowMs),
  });
}

async function makePki(nowMs: number): Promise<readonly Issued[]> {
  const [arkKeys, askKeys, vcekKeys] = await Promise.all([
    generateRsaPss(RSA_BITS),
    generateRsaPss(RSA_BITS),
    generateP384(),
  ]);
  const ark = { name: NAMES.ark, keys: arkKeys };
  const ask = { name: NAMES.ask, keys: askKeys };
  const vcek = { name: NAMES.vcek, keys: vcekKeys };
  const validity = { ...developmentValidity(nowMs), product: PRODUCT };
  const facts = {
    productName: PRODUCT,
    tcb: MACHINE_TCB,
    hwId: machineChipId(await exportPublicKey(vcekKeys.publicKey)),
  };
  return [
    await issue(ark, ark, await arkProfile(ark, validity), CA_SCHEME),
    await issue(ask, ark, await intermediateProfile('ask', ask, ark, validity), CA_SCHEME),
    await issue(vcek, ask, vekProfile(vcek, ask, validity, facts)),
  ];
}

async function loadPki(read: ReadMember): Promise<SnpDevelopmentPki | undefined> {
  const ark = await read({ name: NAMES.ark, importKey: importRsaPss });
  if (ark === undefined) return undefined;
  const ask = await read({ name: NAMES.ask, importKey: importRsaPss });
  const vcek = await read({ name: NAMES.vcek, importKey: importP384 });
  if (ask === undefined || vcek === undefined) throw halfPki();
  return { ark, ask, vcek };
}
