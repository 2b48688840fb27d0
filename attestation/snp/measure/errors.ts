/**
 * Error codes of computing a launch digest. Met by whoever writes a policy, never over a network: what they refuse is
 * a file or a value that its owner has to correct. Spec: STYLE §6.
 * @module
 */

import { defineErrors, type ErrorSpec } from '../../../core/errors.ts';

const REFUSED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The launch cannot be measured.',
};

export const measureError = defineErrors({
  /** Empty, not whole pages, or larger than any firmware. */
  'measure.firmware_size': REFUSED,
  /** No OVMF table at the end of the image, or a broken one. */
  'measure.firmware_table': REFUSED,
  /** A digest of firmware pages that is not 48 bytes in hex. */
  'measure.firmware_digest': REFUSED,
  /** No address at which the further vCPUs start. */
  'measure.reset_vector': REFUSED,
  /** No SEV metadata, or metadata that is broken or of another version. */
  'measure.metadata': REFUSED,
  /** A section of the metadata that no launch can have. */
  'measure.section': REFUSED,
  /** A kernel for firmware that has no place for its hashes. */
  'measure.kernel_hashes': REFUSED,
  /** An initrd or a command line without a kernel. */
  'measure.kernel_missing': REFUSED,
  'measure.command_line': REFUSED,
  'measure.vcpus': REFUSED,
  /** Neither a CPU model by name nor a CPUID signature. */
  'measure.cpu_model': REFUSED,
  'measure.guest_features': REFUSED,
  /** A virtual machine monitor whose launch is not known. */
  'measure.vmm': REFUSED,
});
