/**
 * The SGX extension of a PCK certificate: which machine this is and which microcode and firmware it runs.
 * Spec: Intel SGX PCK Certificate and CRL Profile Specification 1.5, §1.3.5 "SGX Extensions".
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { DerReader } from '../der.ts';
import { OID, type Certificate } from '../pki/certificate.ts';
import { CERTIFICATE_MAX_BYTES } from '../pki/limits.ts';
import { tdxError } from './errors.ts';
import { SGX_EXTENSIONS } from './intel-certificate.ts';

export const TCB_COMPONENTS = 16;
const SVN_MAX = 255;
const PCESVN_MAX = 65535;
const SGX_TYPE_MAX = 2;

export interface PckExtension {
  readonly ppid: string;
  /** SVNs of the sixteen components; what levels are compared with. */
  readonly tcbComponents: readonly number[];
  readonly pceSvn: number;
  readonly cpuSvn: string;
  readonly pceId: string;
  readonly fmspc: string;
  readonly sgxType: number;
  readonly platformInstanceId?: string;
  readonly configuration?: {
    readonly dynamicPlatform: boolean;
    readonly cachedKeys: boolean;
    readonly smtEnabled: boolean;
  };
}

/**
 * Throws `tdx.certificate` or `der.*` unless the extension stands once, every member stands once and is in range,
 * and the certificate carries the three extensions that the profile asks of every certificate.
 */
export function readPckExtension(leaf: Certificate): PckExtension {
  if (leaf.repeatedExtensions.size > 0) {
    throw tdxError('tdx.certificate', 'an extension stands more than once');
  }
  const required = [
    OID.authorityKeyIdentifier,
    OID.subjectKeyIdentifier,
    OID.crlDistributionPoints,
  ];
  for (const oid of required) {
    if (!leaf.extensions.has(oid)) throw tdxError('tdx.certificate', `no extension ${oid}`);
  }
  const value = leaf.extensions.get(SGX_EXTENSIONS);
  if (value === undefined) throw tdxError('tdx.certificate', 'no SGX extension');
  const document = DerReader.over(value, CERTIFICATE_MAX_BYTES);
  const members = readMembers(document.sequence('SGX extensions'), SGX_EXTENSIONS);
  document.end('SGX extensions');
  return readPlatform(members);
}

/** Sub-identifier to a reader that stands before its value. */
type Members = ReadonlyMap<string, DerReader>;

/** SEQUENCE OF SEQUENCE { id, value }, ids one arc below `parent`. Unknown ids are read over, repeated ones refused. */
function readMembers(list: DerReader, parent: string): Members {
  const members = new Map<string, DerReader>();
  while (!list.done) {
    const member = list.sequence('SGX extension member');
    const oid = member.oid('SGX extension member id');
    if (!oid.startsWith(parent)) throw tdxError('tdx.certificate', `foreign member ${oid}`);
    const arc = oid.slice(parent.length);
    if (members.has(arc)) throw tdxError('tdx.certificate', `member ${arc} stands twice`);
    members.set(arc, member);
  }
  return members;
}

/** Arcs as one content octet of the identifier, hex: they are all below 128. */
const ARC = {
  ppid: '01',
  tcb: '02',
  pceId: '03',
  fmspc: '04',
  sgxType: '05',
  platformInstanceId: '06',
  configuration: '07',
} as const;

function readPlatform(members: Members): PckExtension {
  const tcb = single(members, ARC.tcb, 'TCB', (at) => at.sequence('TCB'));
  const instance = members.get(ARC.platformInstanceId);
  const configuration = members.get(ARC.configuration);
  return {
    ppid: octets(members, ARC.ppid, 16, 'PPID'),
    ...readTcb(readMembers(tcb, SGX_EXTENSIONS + ARC.tcb)),
    pceId: octets(members, ARC.pceId, 2, 'PCE-ID'),
    fmspc: octets(members, ARC.fmspc, 6, 'FMSPC'),
    sgxType: single(members, ARC.sgxType, 'SGX type', (at) =>
      at.enumerated(SGX_TYPE_MAX, 'SGX type'),
    ),
    ...(instance === undefined
      ? {}
      : {
          platformInstanceId: octets(members, ARC.platformInstanceId, 16, 'platform instance id'),
        }),
    ...(configuration === undefined ? {} : { configuration: readConfiguration(members) }),
  };
}

function readTcb(tcb: Members): Pick<PckExtension, 'tcbComponents' | 'pceSvn' | 'cpuSvn'> {
  const tcbComponents = Array.from({ length: TCB_COMPONENTS }, (_, i) =>
    single(tcb, arcOf(i + 1), `component ${i + 1}`, (at) => at.small(SVN_MAX, 'component SVN')),
  );
  return {
    tcbComponents,
    pceSvn: single(tcb, arcOf(17), 'PCESVN', (at) => at.small(PCESVN_MAX, 'PCESVN')),
    cpuSvn: octets(tcb, arcOf(18), 16, 'CPUSVN'),
  };
}

function readConfiguration(members: Members): NonNullable<PckExtension['configuration']> {
  const list = single(members, ARC.configuration, 'configuration', (at) =>
    at.sequence('configuration'),
  );
  const flags = readMembers(list, SGX_EXTENSIONS + ARC.configuration);
  const flag = (arc: number, what: string): boolean =>
    flags.has(arcOf(arc)) && single(flags, arcOf(arc), what, (at) => at.boolean(what));
  return {
    dynamicPlatform: flag(1, 'dynamic platform'),
    cachedKeys: flag(2, 'cached keys'),
    smtEnabled: flag(3, 'SMT enabled'),
  };
}

function arcOf(number: number): string {
  return number.toString(16).padStart(2, '0');
}

function single<Value>(
  members: Members,
  arc: string,
  what: string,
  read: (member: DerReader) => Value,
): Value {
  const member = members.get(arc);
  if (member === undefined) throw tdxError('tdx.certificate', `${what} is missing`);
  const value = read(member);
  member.end(what);
  return value;
}

function octets(members: Members, arc: string, size: number, what: string): string {
  const value = single(members, arc, what, (at) => at.octets(what));
  if (value.length !== size) {
    throw tdxError('tdx.certificate', `${what}: ${value.length} bytes, want ${size}`);
  }
  return toHex(value);
}
