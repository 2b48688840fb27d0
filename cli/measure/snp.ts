/**
 * `veilgate measure snp`: the MEASUREMENT of a SEV-SNP guest for each number of vCPUs and each CPU model it may be
 * started with, and the policy entry that admits them.
 * @module
 */

import { InvalidArgumentError, Option, type Command } from 'commander';
import { CPU_MODELS, decodeCpu, type CpuModel } from '../../attestation/snp/measure/cpu-models.ts';
import { decodeGuestFeatures } from '../../attestation/snp/measure/guest-features.ts';
import { kernelHashesOf } from '../../attestation/snp/measure/kernel-hashes.ts';
import {
  decodeFirmwareDigest,
  measureSnpMachine,
  prepareSnpImage,
} from '../../attestation/snp/measure/launch.ts';
import { FIRMWARE_MAX_BYTES, VCPUS_MAX } from '../../attestation/snp/measure/limits.ts';
import { findSnpVmm, SNP_VMMS, type SnpVmmName } from '../../attestation/snp/measure/vmms.ts';
import type { Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { errorLine, outputLine } from '../../core/node/terminal.ts';
import { hashFile, readBoundedFile } from './files.ts';
import { snpReportJson, snpReportLines, type MeasuredShape, type SnpReport } from './snp-report.ts';

/** As many as a policy takes in one image. */
const SHAPES_MAX = 256;
/** SNPActive and nothing else. */
const PLAIN_SNP = 1n;

interface SnpOptions {
  readonly ovmf: string;
  readonly ovmfHash?: Bytes<48>;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly cmdline?: string;
  readonly vcpus: readonly number[];
  readonly cpu?: readonly CpuModel[];
  readonly vmm: SnpVmmName;
  readonly guestFeatures: bigint;
  readonly name?: string;
  readonly hostData: string;
  readonly idKeyDigest: string;
  readonly json?: true;
}

const EXAMPLE = `
Example, a guest that QEMU starts with kernel-hashes=on, in two sizes:
  veilgate measure snp --ovmf OVMF.fd --kernel vmlinuz --initrd initrd.img --cmdline 'console=ttyS0 ro' \\
    --vcpus 4,16 --cpu EPYC-Milan,EPYC-Genoa --name worker-2026.11.2

CPU models:
${modelLines().join('\n')}
Instead of a model, a CPUID signature (0x00a00f11) or family-model-stepping (25-1-1).`;

/** One line for each processor. */
function modelLines(): readonly string[] {
  const bySignature = Map.groupBy(CPU_MODELS, ({ signature }) => signature);
  return [...bySignature.values()].map((models) => `  ${models.map(({ name }) => name).join(' ')}`);
}

export function registerMeasureSnpCommand(measure: Command): void {
  measure
    .command('snp')
    .description('AMD SEV-SNP: the launch digest (MEASUREMENT) of a guest')
    .requiredOption('--ovmf <file>', 'firmware image, as the guest is started with it')
    .requiredOption('--vcpus <list>', 'how many vCPUs, for example 1,4,16', decodeVcpus)
    .option(
      '--cpu <list>',
      'CPU models as QEMU names them, for example EPYC-v4,EPYC-Milan',
      decodeCpus,
    )
    .option('--kernel <file>', 'kernel that QEMU boots directly, with kernel-hashes=on')
    .option('--initrd <file>', 'initrd that goes with the kernel')
    .option('--cmdline <text>', 'command line that goes with the kernel')
    .option(
      '--vmm <name>',
      `who starts the guest: ${SNP_VMMS.map(({ name }) => name).join(', ')}`,
      asArgument((text) => findSnpVmm(text).name),
      'qemu' as const,
    )
    .addOption(
      new Option(
        '--guest-features <mask>',
        'SEV_FEATURES in hex; 0x21 where the host switches DebugSwap on',
      )
        .argParser(asArgument(decodeGuestFeatures))
        .default(PLAIN_SNP, '0x1'),
    )
    .option(
      '--ovmf-hash <hex>',
      'digest of the firmware pages, used instead of those in --ovmf',
      asArgument(decodeFirmwareDigest),
    )
    .option('--name <name>', 'name of the policy entry', decodeName)
    .option(
      '--host-data <hex>',
      'HOST_DATA the policy entry asks for, or zero',
      zeroOrHex(32),
      'zero',
    )
    .option(
      '--id-key-digest <hex>',
      'ID_KEY_DIGEST the policy entry asks for, or zero',
      zeroOrHex(48),
      'zero',
    )
    .option('--json', 'print one line of JSON, for programs')
    .addHelpText('after', EXAMPLE)
    .action(measureSnp);
}

function measureSnp(options: SnpOptions, command: Command): void {
  checkUsage(options, command);
  const report = reportOf(options);
  for (const note of notesOf(options)) errorLine(`note: ${note}`);
  const lines = options.json === true ? [snpReportJson(report)] : snpReportLines(report);
  for (const line of lines) outputLine(line);
}

/** What one option alone cannot say. */
function checkUsage(options: SnpOptions, command: Command): void {
  const refuse = (message: string): never => command.error(`error: ${message}`, { exitCode: 2 });
  const { kernel, initrd, cmdline, cpu, vmm } = options;
  if (kernel === undefined && (initrd !== undefined || cmdline !== undefined)) {
    refuse('--initrd and --cmdline are measured only together with --kernel');
  }
  if (cpu === undefined && findSnpVmm(vmm).state.rdx === 'cpu-signature') {
    refuse('the CPU model is part of the measurement: name it, for example --cpu EPYC-Milan');
  }
  if (options.vcpus.length * (cpu?.length ?? 1) > SHAPES_MAX) {
    refuse(`at most ${SHAPES_MAX} combinations of --vcpus and --cpu`);
  }
}

function reportOf(options: SnpOptions): SnpReport {
  const { ovmfHash: firmwareDigest, cmdline, guestFeatures, hostData, idKeyDigest } = options;
  const firmware = readBoundedFile('firmware', options.ovmf, FIRMWARE_MAX_BYTES);
  const kernel = options.kernel === undefined ? undefined : hashFile('kernel', options.kernel);
  const initrd = options.initrd === undefined ? undefined : hashFile('initrd', options.initrd);
  const kernelHashes = kernelHashesOf({
    ...(kernel === undefined ? {} : { kernel: kernel.sha256 }),
    ...(initrd === undefined ? {} : { initrd: initrd.sha256 }),
    commandLine: cmdline ?? '',
  });
  const image = prepareSnpImage({
    firmware,
    ...(firmwareDigest === undefined ? {} : { firmwareDigest }),
    ...(kernelHashes === undefined ? {} : { kernelHashes }),
    vmm: options.vmm,
  });
  const measure = (vcpus: number, cpuSignature: number): Bytes<48> =>
    measureSnpMachine(image, { vcpus, cpuSignature, guestFeatures });
  return {
    name: options.name,
    vmm: image.vmm,
    guestFeatures,
    firmware: {
      path: options.ovmf,
      sizeBytes: firmware.length,
      digest: image.firmwareDigest,
      digestIsGiven: firmwareDigest !== undefined,
    },
    kernel,
    initrd,
    commandLine: cmdline,
    shapes: shapesOf(options, measure),
    hostData,
    idKeyDigest,
  };
}

/** Models with one signature have one digest, and are one shape by the name of the first. */
function shapesOf(
  { vmm, vcpus, cpu, guestFeatures }: SnpOptions,
  measure: (vcpus: number, cpuSignature: number) => Bytes<48>,
): readonly MeasuredShape[] {
  const features = guestFeatures === PLAIN_SNP ? '' : `-0x${guestFeatures.toString(16)}`;
  if (findSnpVmm(vmm).state.rdx !== 'cpu-signature') {
    return vcpus.map((count) => {
      const shape = `${count}-vcpu-${vmm}${features}`;
      return { shape, vcpus: count, cpus: [], measurement: measure(count, 0) };
    });
  }
  const bySignature = Map.groupBy(cpu ?? [], ({ signature }) => signature);
  return vcpus.flatMap((count) =>
    [...bySignature].map(([signature, models]) => {
      const cpus = models.map(({ name }) => name);
      const shape = `${count}-vcpu-${cpus[0]?.toLowerCase() ?? ''}${features}`;
      return { shape, vcpus: count, cpus, measurement: measure(count, signature) };
    }),
  );
}

/** What a reader of the result must not overlook. */
function notesOf({ vmm, kernel, cpu, ovmfHash }: SnpOptions): readonly string[] {
  const { title, bootsKernels, state } = findSnpVmm(vmm);
  const measuresCpu = state.rdx === 'cpu-signature';
  return [
    ...(kernel === undefined
      ? ['without a kernel this covers firmware and vCPUs only: any operating system may follow']
      : []),
    ...(kernel !== undefined && !bootsKernels
      ? [`${title} boots no kernel directly: a digest with one matches no guest there`]
      : []),
    ...(cpu !== undefined && !measuresCpu ? [`${title} does not measure the CPU model`] : []),
    ...(vmm === 'gce' ? ['this is the digest on Milan machines'] : []),
    ...(ovmfHash === undefined
      ? []
      : ['the firmware pages were taken from --ovmf-hash and not compared with --ovmf']),
  ];
}

/** A refusal of a decoder is wrong usage of the option. */
function asArgument<Value>(decode: (text: string) => Value): (text: string) => Value {
  return (text) => {
    try {
      return decode(text);
    } catch (error) {
      if (error instanceof VeilError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}

function decodeVcpus(text: string): readonly number[] {
  const counts = text.split(',').map((item) => {
    const count = Number(item);
    if (/^\d{1,4}$/.test(item) && count >= 1 && count <= VCPUS_MAX) return count;
    throw new InvalidArgumentError(`want numbers from 1 to ${VCPUS_MAX}, separated by commas`);
  });
  return [...new Set(counts)];
}

function decodeCpus(text: string): readonly CpuModel[] {
  const models = text.split(',').map(asArgument(decodeCpu));
  return [...new Map(models.map((model) => [model.name, model])).values()];
}

function decodeName(text: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,127}$/.test(text)) return text;
  throw new InvalidArgumentError('want lower-case letters, digits and . _ -');
}

/** As a policy writes it: lower-case hex, or the word. */
function zeroOrHex(sizeBytes: number): (text: string) => string {
  const pattern = new RegExp(`^(?:zero|[0-9a-f]{${2 * sizeBytes}})$`);
  return (text) => {
    const lower = text.toLowerCase();
    if (pattern.test(lower)) return lower;
    throw new InvalidArgumentError(`want ${2 * sizeBytes} hex digits, or zero`);
  };
}
