/**
 * The development hierarchy of the TDX simulator, kept on disk by pki-folder.ts.
 * @module
 */

import { randomBytes } from '#primitives';
import { generateP256, importP256 } from '../../../attestation/x509-keys.ts';
import { issue, type Authority, type Issued } from './authority.ts';
import {
  developmentName,
  intermediateProfile,
  pckProfile,
  rootProfile,
  tcbSignerProfile,
  type CommonName,
} from './hierarchy.ts';
import { machineFacts } from './machine.ts';
import { developmentValidity, halfPki, openPkiFolder, type ReadMember } from './pki-folder.ts';

export interface DevelopmentPki {
  readonly root: Issued;
  readonly platformCa: Issued;
  readonly pck: Issued;
  readonly tcbSigning: Issued;
}

type Role = keyof DevelopmentPki;

const COMMON_NAMES: Readonly<Record<Role, CommonName>> = {
  root: 'Intel SGX Root CA',
  platformCa: 'Intel SGX PCK Platform CA',
  pck: 'Intel SGX PCK Certificate',
  tcbSigning: 'Intel SGX TCB Signing',
};

const FOLDER = 'veilgate-development-pki-1';

/** Throws `simulator.pki` when the folder holds something else than a whole hierarchy. */
export async function openDevelopmentPki(pkiDir: string, nowMs: number): Promise<DevelopmentPki> {
  return await openPkiFolder(pkiDir, {
    folder: FOLDER,
    load: loadPki,
    make: async () => await makePki(nowMs),
  });
}

async function makePki(nowMs: number): Promise<readonly Issued[]> {
  const validity = developmentValidity(nowMs);
  const [root, platformCa, pck, tcbSigning] = await Promise.all([
    newAuthority('root'),
    newAuthority('platformCa'),
    newAuthority('pck'),
    newAuthority('tcbSigning'),
  ]);
  const facts = machineFacts(randomBytes(32));
  return [
    await issue(root, root, await rootProfile(root, validity)),
    await issue(platformCa, root, await intermediateProfile(platformCa, root, validity)),
    await issue(pck, platformCa, await pckProfile(pck, platformCa, { ...validity, facts })),
    await issue(tcbSigning, root, await tcbSignerProfile(tcbSigning, root, validity)),
  ];
}

async function newAuthority(role: Role): Promise<Authority> {
  return { name: developmentName(COMMON_NAMES[role]), keys: await generateP256() };
}

async function loadPki(read: ReadMember): Promise<DevelopmentPki | undefined> {
  const member = async (role: Role): Promise<Issued | undefined> =>
    await read({ name: developmentName(COMMON_NAMES[role]), importKey: importP256 });
  const root = await member('root');
  if (root === undefined) return undefined;
  const platformCa = await member('platformCa');
  const pck = await member('pck');
  const tcbSigning = await member('tcbSigning');
  if (platformCa === undefined || pck === undefined || tcbSigning === undefined) throw halfPki();
  return { root, platformCa, pck, tcbSigning };
}
