/**
 * SEV-SNP launch digests: what a guest is started with, to its MEASUREMENT. `accept` is a computed digest, `reject` says
 * with which code the inputs were refused.
 * Spec: sev-snp vector corpus, "launch-digest/cases.json".
 * @module
 */

import { sha256 } from '#primitives';
import { z } from 'zod';
import { decodeCpu } from '../../attestation/snp/measure/cpu-models.ts';
import { measureError } from '../../attestation/snp/measure/errors.ts';
import { decodeGuestFeatures } from '../../attestation/snp/measure/guest-features.ts';
import { kernelHashesOf } from '../../attestation/snp/measure/kernel-hashes.ts';
import { decodeFirmwareDigest, measureSnpLaunch } from '../../attestation/snp/measure/launch.ts';
import { findSnpVmm } from '../../attestation/snp/measure/vmms.ts';
import { toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { ReadCaseFile, VectorKind, VectorOutcome } from './kind.ts';

const CASE = z.object({
  ovmf: z.string(),
  ovmf_hash: z.string().nullish(),
  vcpus: z.number(),
  vcpu_type: z.string().optional(),
  vcpu_sig: z.string().optional(),
  kernel: z.string().nullish(),
  initrd: z.string().nullish(),
  cmdline: z.string().default(''),
  guest_features: z.string(),
  vmm: z.string(),
});
type Case = z.infer<typeof CASE>;

const NOTHING = { warnings: [], authentic: null, tcb: null } as const;

function run(entry: unknown, readFile: ReadCaseFile): VectorOutcome {
  const inputs = CASE.parse(entry);
  try {
    const measurement = toHex(measure(inputs, readFile));
    return { verdict: 'accept', failing: [], ...NOTHING, fields: { measurement } };
  } catch (error) {
    // An input that is refused is a verdict; a file that cannot be read is not.
    if (!(error instanceof VeilError) || !error.code.startsWith('measure.')) throw error;
    return { verdict: 'reject', failing: [error.code], ...NOTHING, fields: null };
  }
}

function measure(inputs: Case, readFile: ReadCaseFile): Bytes<48> {
  const kernel = fileSha256(inputs.kernel, readFile);
  const initrd = fileSha256(inputs.initrd, readFile);
  const kernelHashes = kernelHashesOf({
    ...(kernel === undefined ? {} : { kernel }),
    ...(initrd === undefined ? {} : { initrd }),
    commandLine: inputs.cmdline,
  });
  const firmwareDigest = inputs.ovmf_hash ?? undefined;
  const image = {
    firmware: readFile(inputs.ovmf),
    ...(firmwareDigest === undefined
      ? {}
      : { firmwareDigest: decodeFirmwareDigest(firmwareDigest) }),
    ...(kernelHashes === undefined ? {} : { kernelHashes }),
    vmm: findSnpVmm(inputs.vmm).name,
  };
  return measureSnpLaunch(image, {
    vcpus: inputs.vcpus,
    cpuSignature: signatureOf(inputs),
    guestFeatures: decodeGuestFeatures(inputs.guest_features),
  });
}

/** The signature decides where there is one, as in the tool that made the corpus; the model must still be known. */
function signatureOf({ vcpu_type, vcpu_sig }: Case): number {
  const named = vcpu_type === undefined ? undefined : decodeCpu(vcpu_type);
  const signed = vcpu_sig === undefined ? undefined : decodeCpu(vcpu_sig);
  const cpu = signed ?? named;
  if (cpu === undefined) throw measureError('measure.cpu_model', 'no CPU');
  return cpu.signature;
}

/** The corpus's word for a file of no bytes. */
const EMPTY_FILE = '(empty)';

function fileSha256(
  path: string | null | undefined,
  readFile: ReadCaseFile,
): Bytes<32> | undefined {
  if (path === null || path === undefined) return undefined;
  return path === EMPTY_FILE ? sha256() : sha256(readFile(path));
}

export const launchDigestVectors: VectorKind = { name: 'launch-digest', run };
