/**
 * What each SEV-SNP check means, for people: authenticity here, the rules about the guest in policy-explanations.ts.
 * Spec: AMD SEV-SNP Firmware ABI (56860) §7.3; AMD VCEK Certificate and KDS Interface Specification (57230); sev-snp.md §3.
 * @module
 */

import { byHost, bySender, byVerifier, type Explanations } from '../explanation.ts';
import type { SNP_AUTHENTICITY_CHECKS, SnpCheckId } from './check-list.ts';
import { SNP_POLICY_EXPLANATIONS } from './policy-explanations.ts';

const FORGED =
  'Treat the evidence as damaged or forged: take it again straight from the guest, and do not use the machine while it stays so.';
const FETCH_LEAF =
  'Fetch the certificate anew from AMD’s key distribution service, for this chip and REPORTED_TCB. A VLEK comes from the cloud.';
const FETCH_CHAIN =
  'Fetch the certificate chain of this product anew from AMD’s key distribution service, or leave it out: the usual ones are built in.';
const FETCH_LIST =
  'Fetch the revocation list of this product’s ARK anew from AMD’s key distribution service (…/crl).';

type ReportCheck = Extract<
  (typeof SNP_AUTHENTICITY_CHECKS)[number],
  `report.${string}` | `hcl.${string}` | `certTable.${string}`
>;

const REPORT: Explanations<ReportCheck> = {
  'hcl.format': bySender(
    'Azure’s blob around the report has its form and holds an SEV-SNP report.',
    'What cannot be read to its end cannot be judged.',
    'Read the blob again from the vTPM (NV index 0x01400001), whole.',
  ),
  'certTable.format': byHost(
    'The certificate table that the host delivered with the report has its form.',
    'A malformed table is a broken host tool, or an attempt to crash verifiers.',
    'Load the host’s certificates again (snphost, or the hypervisor’s own tool), or hand them over as files.',
  ),
  'report.length': bySender(
    'The report has 1184 bytes.',
    'A report of another length was cut, padded or is something else.',
    'Take the report again and carry it as raw bytes, hex or base64.',
  ),
  'report.version': byHost(
    'The report has a version (2 to 5) whose fields are specified.',
    'In an unknown version the same bytes may mean something else.',
    'If the firmware is newer than this program, update this program; otherwise update the firmware.',
  ),
  'report.signatureAlgorithm': bySender(
    'The report is signed with ECDSA P-384 and SHA-384.',
    'No other algorithm is specified: the field was changed, or the report is not from the firmware.',
    FORGED,
  ),
  'report.guestPolicy': bySender(
    'The guest policy has its fixed bit set and its reserved bits clear.',
    'The firmware never launches a guest otherwise: the field was changed, or has bits nobody has explained.',
    FORGED,
  ),
  'report.signerInfo': bySender(
    'The report says which key signed it, with a value that is specified.',
    'Whether a chip or a cloud vouches decides what the report proves.',
    FORGED,
  ),
  'report.signed': byHost(
    'The report is signed at all.',
    'An unsigned report is a claim of whoever sent it.',
    'The host has switched the chip key off (MASK_CHIP_KEY): switch it on, or load a VLEK.',
  ),
  'report.vmpl': bySender(
    'The report was asked for by the guest, at a privilege level of 0 to 3.',
    'A report that the host asked for says nothing about what the guest does.',
    'Take the report inside the guest (configfs-tsm or /dev/sev-guest).',
  ),
  'report.cpuid': byHost(
    'The processor that the report names is a known product.',
    'Layout and levels of an unknown product would have to be guessed.',
    'Use Milan, Genoa or Turin; for a newer product update this program when AMD has published its roots.',
  ),
  'report.reserved': bySender(
    'All reserved bytes are zero.',
    'Part of them is not signed: without this check one report could be sent in endless forms.',
    FORGED,
  ),
  'report.signatureEncoding': bySender(
    'The two numbers of the signature are encoded as specified, padding zero.',
    'The padding is not signed: whoever changes it makes another file of the same report.',
    FORGED,
  ),
  'hcl.runtimeData': bySender(
    'The report contains the hash of the runtime data that Azure’s paravisor put beside it.',
    'Otherwise the vTPM’s key and the guest’s own bytes in that data may be anybody’s.',
    'Read the blob again from the vTPM, and hand it over byte for byte.',
  ),
  'report.signature': bySender(
    'The certified key of the chip or the cloud signed exactly this report.',
    'Otherwise a measurement, the report data or another field was changed after signing, or the certificate is another chip’s.',
    FORGED,
  ),
};

type ChainCheck = Exclude<(typeof SNP_AUTHENTICITY_CHECKS)[number], ReportCheck>;

const CHAIN: Explanations<ChainCheck> = {
  'vek.present': byVerifier(
    'There is a certificate of the key that signed the report (VCEK or VLEK).',
    'Without it the signature could be anybody’s.',
    FETCH_LEAF,
  ),
  'vek.format': byVerifier(
    'The certificate of the signing key is a certificate in strict DER.',
    'What can be read in two ways will be.',
    FETCH_LEAF,
  ),
  'intermediate.format': byVerifier(
    'The ASK or ASVK that came along is a certificate in strict DER.',
    'What can be read in two ways will be.',
    FETCH_CHAIN,
  ),
  'root.format': byVerifier(
    'The ARK that came along is a certificate in strict DER.',
    'What can be read in two ways will be.',
    FETCH_CHAIN,
  ),
  'chain.root': bySender(
    'The chain ends in one of AMD’s roots, byte for byte, or in a development root that you named.',
    'Under another root anybody can make chips. A simulator does exactly that.',
    'For production: refuse it. For development: name the root, in the policy’s roots or with --root.',
  ),
  'chain.names': bySender(
    'Leaf, ASK or ASVK and ARK name each other and have AMD’s names for one product.',
    'A chain of mixed parts, such as a cloud’s key under the CA for chips, proves something else than it seems to.',
    FETCH_CHAIN,
  ),
  'chain.algorithms': bySender(
    'The CAs sign with RSA of 4096 bits (PSS, SHA-384) and the leaf has a key on P-384.',
    'AMD uses nothing else: another algorithm is another author.',
    FORGED,
  ),
  'chain.signatures': bySender(
    'Each certificate is signed by the next.',
    'A chain with a gap ends nowhere: anybody can write a leaf.',
    `${FETCH_CHAIN} If it stays so, treat the certificate as forged.`,
  ),
  'chain.constraints': bySender(
    'The CAs may sign certificates, the leaf is no CA, and no critical extension is unknown.',
    'Otherwise the key of one chip could issue certificates for others.',
    FORGED,
  ),
  'chain.notBefore': byVerifier(
    'All three certificates have begun to be valid.',
    'A certificate from the future means that a clock is wrong, or that an instant before its issue was asked about.',
    'Look at the clock of this machine, or at --at.',
  ),
  'chain.notAfter': byVerifier(
    'None of the three certificates has expired. A VLEK lives one year, a VCEK seven.',
    'An expired certificate vouches for nothing.',
    `Look at the clock of this machine first. ${FETCH_LEAF}`,
  ),
  'vek.extensions': bySender(
    'The leaf states its chip or cloud, its product and its TCB, once each, in AMD’s form.',
    'From these follows which report the key may sign: two of one, or none, would let the reader choose.',
    FETCH_LEAF,
  ),
  'crl.present': byVerifier(
    'There is a revocation list of AMD’s root.',
    'AMD has revoked an ASK before. Without the list nobody knows whether this one is taken back, so nothing is accepted.',
    FETCH_LIST,
  ),
  'crl.format': byVerifier(
    'The revocation list is a complete list in strict DER.',
    'A list that cannot be read revokes nothing.',
    FETCH_LIST,
  ),
  'crl.issuer': byVerifier(
    'The revocation list names this chain’s ARK as its issuer.',
    'The list of another product says nothing about this chain: it would hide a revocation.',
    `${FETCH_LIST} Milan, Genoa and Turin have one each.`,
  ),
  'crl.signature': byVerifier(
    'The revocation list is signed by this chain’s ARK.',
    'An unsigned list can be emptied by whoever passes it on.',
    FETCH_LIST,
  ),
  'crl.freshness': byVerifier(
    'The revocation list is in its time: issued, and its next update not past.',
    'A list from before a revocation does not know of it. Handing over an old one is how it is hidden.',
    `${FETCH_LIST} If it was just fetched, look at the clock of this machine.`,
  ),
  'chain.revoked': byHost(
    'Neither the ASK or ASVK nor the ARK is on the revocation list.',
    'A revoked CA may have issued certificates to anybody. The first ASK of Genoa is revoked.',
    'Fetch certificate and chain anew: AMD issues them under the current CA. Use nothing under the old one.',
  ),
  'bind.signerKind': byVerifier(
    'The certificate is of the kind (chip or cloud) that the report says signed it.',
    'A cloud’s key proves no chip, a chip’s key no cloud: one must not pass for the other.',
    'Hand over the VLEK for a report signed with a VLEK, the VCEK otherwise.',
  ),
  'bind.product': byVerifier(
    'Report, leaf and CAs are of one product (Milan, Genoa, Turin).',
    'The levels of one product mean nothing on another.',
    'Fetch certificate and chain for the product that the report names.',
  ),
  'bind.tcb': byVerifier(
    'The TCB that the report names (REPORTED_TCB) is the one that the key was derived for.',
    'A key leaked by old firmware is good for that firmware’s TCB and no other; another TCB would be a lie about the age.',
    'The certificate belongs to another TCB: fetch the VCEK for the REPORTED_TCB of this report.',
  ),
  'bind.tcbOrder': bySender(
    'The TCB that the report names is not above the one that runs (CURRENT_TCB).',
    'The firmware never reports more than it has.',
    FORGED,
  ),
  'bind.chipId': byVerifier(
    'The chip that the report names is the one of the certificate.',
    'Another chip’s certificate beside a report is a mix-up, or a machine that poses as another.',
    'Fetch the VCEK for the CHIP_ID of this report.',
  ),
};

export const SNP_EXPLANATIONS: Explanations<SnpCheckId> = {
  ...REPORT,
  ...CHAIN,
  ...SNP_POLICY_EXPLANATIONS,
};
