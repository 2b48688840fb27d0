/**
 * What each TDX check means, for people: authenticity here, the rules about the TD in policy-explanations.ts.
 * Spec: Intel TDX DCAP Quoting Library API, Appendix A; Intel SGX and TDX PCS API v4; tdx.md §3, §7.
 * @module
 */

import {
  byHost,
  bySender,
  byVerifier,
  type Explanation,
  type Explanations,
} from '../explanation.ts';
import type { AUTHENTICITY_CHECKS, TdxCheckId } from './check-list.ts';
import { TDX_POLICY_EXPLANATIONS } from './policy-explanations.ts';

const FORGED =
  'Treat the evidence as damaged or forged: take it again straight from the guest, and do not use the machine while it stays so.';
const FETCH_DOCUMENT =
  'Fetch the document anew from Intel or from your caching service, and hand it on byte for byte: not parsed, not printed again.';
const FETCH_LIST =
  'Fetch the list anew: the PCK list by the CA (platform or processor) that issued the leaf, the root list from Intel’s certificate site.';

type ListCheck = 'format' | 'issuer' | 'signature' | 'freshness';

/** The list of Intel's root and that of the PCK CA are judged alike. */
function listExplanations(
  what: string,
  about: string,
  issuer: string,
): Readonly<Record<ListCheck, Explanation>> {
  return {
    format: byVerifier(
      `The revocation list ${what} is a complete list in strict DER.`,
      `Without it nobody can tell whether ${about} was taken back, so nothing is accepted.`,
      FETCH_LIST,
    ),
    issuer: byVerifier(
      `The revocation list ${what} names ${issuer} as its issuer.`,
      'The list of another CA says nothing about this machine: it would hide a revocation.',
      FETCH_LIST,
    ),
    signature: byVerifier(
      `The revocation list ${what} is signed by ${issuer}.`,
      'An unsigned list can be emptied by whoever passes it on, which hides a revoked machine.',
      FETCH_LIST,
    ),
    freshness: byVerifier(
      `The revocation list ${what} is in its time: issued, and its next update not past.`,
      'A list from before a revocation does not know of it. Handing over an old one is how it is hidden.',
      'Fetch the list anew. If it was just fetched, look at the clock of this machine.',
    ),
  };
}

const ROOT_LIST = listExplanations(
  'of Intel’s root',
  'a CA or a signer of Intel',
  'the root of the chain',
);
const PCK_LIST = listExplanations('of the PCK CA', 'this machine', 'the CA that issued the leaf');

type DocumentCheck =
  | 'format'
  | 'chain'
  | 'signerRole'
  | 'signerValidity'
  | 'signerRevoked'
  | 'signature'
  | 'freshness';

/** TCB info and QE identity are signed alike. */
function documentExplanations(
  name: string,
  says: string,
): Readonly<Record<DocumentCheck, Explanation>> {
  return {
    format: byVerifier(
      `The ${name} is Intel’s signed JSON document, every member once and in range.`,
      `It says ${says}. Without it nothing can be said about this machine.`,
      FETCH_DOCUMENT,
    ),
    chain: byVerifier(
      `The ${name} comes with its signer’s certificate and the trusted root that issued it.`,
      'A document under another root is not Intel’s: its author could call any machine up to date.',
      'Fetch the issuer chain together with the document (it stands in a header of the same answer); name a development root.',
    ),
    signerRole: byVerifier(
      `The signer of the ${name} is a TCB signing certificate, not that of a machine or a CA.`,
      'Otherwise the owner of one genuine machine could sign documents in Intel’s name.',
      'Fetch document and issuer chain anew. If it stays so, somebody is forging: tell your security team.',
    ),
    signerValidity: byVerifier(
      `The certificate that signed the ${name} is in its time.`,
      'Intel renews this signer every few years; an expired one vouches for nothing.',
      'Fetch document and issuer chain anew. If they were just fetched, look at the clock of this machine.',
    ),
    signerRevoked: byVerifier(
      `The signer of the ${name} is not on the revocation list of Intel’s root.`,
      'Intel took this signer back: what it signed may be anybody’s.',
      'Fetch document and issuer chain anew; use nothing signed by the revoked certificate.',
    ),
    signature: byVerifier(
      `The signature covers the bytes of the ${name} as they stand in the document.`,
      'Otherwise somebody changed a level or a status, or a program parsed and printed the document again.',
      FETCH_DOCUMENT,
    ),
    freshness: byVerifier(
      `The ${name} is in its time: issued, and its next update not past.`,
      'An old document does not know the weaknesses found since: an outdated machine would look up to date.',
      'Fetch the document anew (it lives thirty days). If it was just fetched, look at the clock of this machine.',
    ),
  };
}

const TCB_INFO = documentExplanations('TCB info', 'which microcode and firmware versions are good');
const QE_IDENTITY = documentExplanations('QE identity', 'which quoting enclaves are Intel’s');

const QUOTE: Explanations<
  Extract<TdxCheckId, `quote.${string}` | 'qe.keyBinding' | 'qe.reportSignature'>
> = {
  'quote.format': bySender(
    'The bytes are one TDX quote of version 4 or 5 whose inner lengths agree.',
    'What cannot be read to its end cannot be judged. Usually the transport cut or re-encoded it.',
    'Take the quote again and carry it as raw bytes, hex or base64: nothing cut off, nothing added.',
  ),
  'quote.qeVendor': byHost(
    'The quote says that Intel’s quoting enclave made it.',
    'Another vendor’s enclave follows rules that nobody here knows.',
    'Use Intel’s TDX quoting service on the host.',
  ),
  'quote.attestationKey': bySender(
    'The key that signed the quote is a point of the curve P-256.',
    'A key that is none is damaged, or chosen to trick verifiers.',
    FORGED,
  ),
  'quote.signature': bySender(
    'The quoting enclave’s key signed exactly this header and this TD report.',
    'Otherwise a measurement, the report data or another field was changed after signing.',
    FORGED,
  ),
  'qe.keyBinding': bySender(
    'The quoting enclave’s own report names the key that signed the quote.',
    'Without it any key could be put beside a genuine enclave’s report.',
    FORGED,
  ),
  'qe.reportSignature': bySender(
    'The PCK key of the machine signed the report of its quoting enclave.',
    'This ties the quote to hardware of Intel’s. Without it the quote is made up, or carries another machine’s certificate.',
    `${FORGED} On the host: the quoting service must use the PCK certificate of this very machine and TCB.`,
  ),
};

const PCK: Explanations<Extract<TdxCheckId, `pck.${string}`>> = {
  'pck.chain': bySender(
    'Leaf, intermediate and root are three certificates, each named and signed by the next, with Intel’s names.',
    'A chain with a gap ends nowhere: anybody can write a leaf.',
    'Take the quote again. If it carries no chain, hand over the PCK chain of the machine as pckCertChain.',
  ),
  'pck.root': bySender(
    'The chain ends in Intel’s root certificate, byte for byte, or in a development root that you named.',
    'Under another root anybody can make machines. A simulator does exactly that.',
    'For production: refuse it. For development: name the root, in the policy’s roots or with --root.',
  ),
  'pck.leafRole': bySender(
    'The leaf is the certificate of a machine (PCK), no CA, and its key may sign.',
    'Another certificate of Intel’s hierarchy must not stand in for a machine.',
    FORGED,
  ),
  'pck.caConstraint': bySender(
    'Root and intermediate are CAs that may sign certificates and revocation lists.',
    'Otherwise the key of one machine could issue certificates for others.',
    FORGED,
  ),
  'pck.validity': byVerifier(
    'Leaf, intermediate and root are in their time.',
    'An expired certificate vouches for nothing; one from the future means that a clock is wrong.',
    'Look at the clock of this machine first. Then let the host fetch its PCK certificate anew.',
  ),
  'pck.extension': bySender(
    'The leaf states its machine and TCB (FMSPC, PPID, SVNs) once each, in Intel’s form.',
    'From these numbers everything else follows: two of one, or none, would let the reader choose.',
    FORGED,
  ),
  'pck.revoked': byHost(
    'The certificate of the machine is not on the revocation list of its CA.',
    'Intel took this machine’s key back: it leaked, or the machine was withdrawn. Its quotes prove nothing.',
    'Do not use the machine. Its owner has to ask Intel, and to register it anew if that is offered.',
  ),
  'pck.intermediateRevoked': byHost(
    'The CA of the machine’s certificate is not on the revocation list of Intel’s root.',
    'A revoked CA may have issued certificates to anybody.',
    'Do not use the machine until Intel issued its certificate under another CA.',
  ),
  'pck.rootRevoked': byVerifier(
    'Intel’s root is not on its own revocation list.',
    'Nothing under a root that was taken back can be believed.',
    'Accept no TDX evidence, and ask Intel before anything else.',
  ),
};

const REGISTER_AGAIN =
  'Fetch the documents for this very machine: by the FMSPC and the CA of its PCK certificate.';

const DOCUMENTS: Explanations<Extract<TdxCheckId, `tcbInfo.${string}` | `qeIdentity.${string}`>> = {
  'tcbInfo.format': TCB_INFO.format,
  'tcbInfo.chain': TCB_INFO.chain,
  'tcbInfo.signerRole': TCB_INFO.signerRole,
  'tcbInfo.signerValidity': TCB_INFO.signerValidity,
  'tcbInfo.signerRevoked': TCB_INFO.signerRevoked,
  'tcbInfo.signature': TCB_INFO.signature,
  'tcbInfo.freshness': TCB_INFO.freshness,
  'tcbInfo.id': byVerifier(
    'The TCB info is one for TDX.',
    'The document for SGX knows nothing of the TDX module and its levels.',
    'Fetch it from the tdx path of Intel’s service, not the sgx path.',
  ),
  'tcbInfo.version': byVerifier(
    'The TCB info has version 3.',
    'Another version means something else by the same members.',
    'Fetch it from version 4 of Intel’s service.',
  ),
  'tcbInfo.tcbType': byVerifier(
    'The TCB info composes its levels in the way this verifier knows (type 0).',
    'Compared in another way the same numbers mean another status.',
    'Fetch it from version 4 of Intel’s service; if Intel changed the type, this program needs an update.',
  ),
  'tcbInfo.fmspc': byVerifier(
    'The TCB info is about this machine’s kind of platform (FMSPC).',
    'The levels of another platform could call this one up to date.',
    REGISTER_AGAIN,
  ),
  'tcbInfo.pceId': byVerifier(
    'The TCB info is about this machine’s certification enclave (PCE-ID).',
    'The levels of another one do not apply.',
    REGISTER_AGAIN,
  ),
  'qeIdentity.format': QE_IDENTITY.format,
  'qeIdentity.chain': QE_IDENTITY.chain,
  'qeIdentity.signerRole': QE_IDENTITY.signerRole,
  'qeIdentity.signerValidity': QE_IDENTITY.signerValidity,
  'qeIdentity.signerRevoked': QE_IDENTITY.signerRevoked,
  'qeIdentity.signature': QE_IDENTITY.signature,
  'qeIdentity.freshness': QE_IDENTITY.freshness,
  'qeIdentity.id': byVerifier(
    'The identity is that of the TD quoting enclave (TD_QE).',
    'The SGX quoting enclave is another one: its identity says nothing here.',
    'Fetch it from the tdx path of Intel’s service.',
  ),
  'qeIdentity.version': byVerifier(
    'The identity has version 2.',
    'Another version means something else by the same members.',
    'Fetch it from version 4 of Intel’s service.',
  ),
};

const NOT_INTELS = 'Use the quoting service that Intel ships, unchanged, and take the quote again.';
const MODULE =
  'The TDX module runs above the host and isolates the guest: one that Intel did not sign isolates nothing.';
const BOOT_MODULE = 'Boot the host with a TDX module that Intel released.';

const PARTS: Explanations<
  Extract<
    TdxCheckId,
    'qe.mrsigner' | 'qe.isvprodid' | 'qe.miscselect' | 'qe.attributes' | `tdxModule.${string}`
  >
> = {
  'qe.mrsigner': byHost(
    'The quoting enclave was signed by the key that Intel’s QE identity names.',
    'Any enclave on a genuine machine could otherwise pose as quoting enclave and quote whatever it likes.',
    NOT_INTELS,
  ),
  'qe.isvprodid': byHost(
    'The quoting enclave has the product number of Intel’s TD quoting enclave.',
    'Other enclaves of Intel must not write quotes.',
    NOT_INTELS,
  ),
  'qe.miscselect': byHost(
    'The quoting enclave runs with the settings that Intel’s QE identity demands (MISCSELECT).',
    'Other settings may reveal what happens inside the enclave.',
    NOT_INTELS,
  ),
  'qe.attributes': byHost(
    'The quoting enclave runs with the attributes that Intel’s QE identity demands.',
    'A debuggable quoting enclave gives its signing key to whoever asks.',
    NOT_INTELS,
  ),
  'tdxModule.identity': byHost(
    'Intel’s TCB info has an identity for the version of TDX module that the TD reports.',
    `${MODULE} A version that Intel’s document does not list cannot be judged.`,
    `${BOOT_MODULE} If it is newer than the document, fetch the TCB info anew.`,
  ),
  'tdxModule.mrsigner': byHost(
    'The TDX module was signed by the key that Intel’s document names.',
    MODULE,
    BOOT_MODULE,
  ),
  'tdxModule.attributes': byHost(
    'The attributes of the TDX module are those that Intel’s document demands, and zero.',
    'A debug or otherwise special module does not protect its guests.',
    BOOT_MODULE,
  ),
};

const AUTHENTICITY: Explanations<(typeof AUTHENTICITY_CHECKS)[number]> = {
  ...QUOTE,
  ...PCK,
  'rootCrl.format': ROOT_LIST.format,
  'rootCrl.issuer': ROOT_LIST.issuer,
  'rootCrl.signature': ROOT_LIST.signature,
  'rootCrl.freshness': ROOT_LIST.freshness,
  'pckCrl.format': PCK_LIST.format,
  'pckCrl.issuer': PCK_LIST.issuer,
  'pckCrl.signature': PCK_LIST.signature,
  'pckCrl.freshness': PCK_LIST.freshness,
  ...DOCUMENTS,
  ...PARTS,
};

export const TDX_EXPLANATIONS: Explanations<TdxCheckId> = {
  ...AUTHENTICITY,
  ...TDX_POLICY_EXPLANATIONS,
};
