/**
 * The launch digest as it grows: one SHA-384 over PAGE_INFO for each page that a launch adds.
 * Spec: AMD 56860 (SEV-SNP firmware ABI), SNP_LAUNCH_UPDATE, "Structure of the PAGE_INFO" and "PAGE_TYPE".
 * @module
 */

import { sha384 } from '#primitives';
import { fixed, type Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';

export const PAGE_BYTES = 4096;
const DIGEST_BYTES = 48;

const PAGE_TYPES = { normal: 1, vmsa: 2, zero: 3, unmeasured: 4, secrets: 5, cpuid: 6 } as const;
export type PageType = keyof typeof PAGE_TYPES;
/** Pages of which type and address are measured, and zero bytes for content. */
export type BarePageType = Exclude<PageType, 'normal' | 'vmsa'>;

export type LaunchDigest = Bytes<48>;

/** Before the first page. */
export const EMPTY_LAUNCH: LaunchDigest = fixed(new Uint8Array(DIGEST_BYTES), DIGEST_BYTES);
const NO_CONTENT: Bytes<48> = fixed(new Uint8Array(DIGEST_BYTES), DIGEST_BYTES);

const PAGE_INFO_BYTES = 0x70;

/** KVM's `INITIAL_VMSA_GPA`: all ones, cut to 48 bits and to a page. Every vCPU's page is added there. */
const VMSA_GPA = 0xffff_ffff_f000;

/** `content` is the SHA-384 of the save area; vCPUs that start alike share it. */
export function extendWithVmsa(digest: LaunchDigest, content: Bytes<48>): LaunchDigest {
  return extend(digest, 'vmsa', VMSA_GPA, content);
}

/** Page for page; `bytes` are whole pages. */
export function extendWithNormalPages(
  digest: LaunchDigest,
  gpa: number,
  bytes: Uint8Array,
): LaunchDigest {
  assert(bytes.length % PAGE_BYTES === 0, 'whole pages');
  let extended = digest;
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const content = sha384(bytes.subarray(at, at + PAGE_BYTES));
    extended = extend(extended, 'normal', gpa + at, content);
  }
  return extended;
}

/** Page for page; `sizeBytes` is whole pages. */
export function extendWithBarePages(
  digest: LaunchDigest,
  type: BarePageType,
  gpa: number,
  sizeBytes: number,
): LaunchDigest {
  assert(sizeBytes % PAGE_BYTES === 0, 'whole pages');
  let extended = digest;
  for (let at = 0; at < sizeBytes; at += PAGE_BYTES) {
    extended = extend(extended, type, gpa + at, NO_CONTENT);
  }
  return extended;
}

function extend(
  digest: LaunchDigest,
  type: PageType,
  gpa: number,
  content: Bytes<48>,
): LaunchDigest {
  const info = new Uint8Array(PAGE_INFO_BYTES);
  const view = new DataView(info.buffer);
  info.set(digest, 0); // DIGEST_CUR
  info.set(content, 0x30); // CONTENTS
  view.setUint16(0x60, PAGE_INFO_BYTES, true); // LENGTH
  view.setUint8(0x62, PAGE_TYPES[type]); // PAGE_TYPE
  // 0x63 IMI_PAGE and 0x64..0x67, the permissions of VMPL 3 to 1 and a reserved byte, are zero in every known launch.
  view.setBigUint64(0x68, BigInt(gpa), true); // GPA
  return sha384(info);
}
