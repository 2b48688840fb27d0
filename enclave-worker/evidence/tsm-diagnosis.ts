/**
 * Why the kernel's report interface cannot be used, in words. Decides nothing: what it looks at, such as CPU flags, is
 * chosen by the host. Spec: Linux Documentation/ABI/testing/configfs-tsm-report; tdx.md §8; sev-snp.md §5.
 * @module
 */

import type { TeeName } from '../../attestation/verdict.ts';
import { VeilError } from '../../core/errors.ts';
import { ATTRIBUTE_MAX_BYTES, EVENT_LOG_MAX_BYTES, SYSTEM_TEXT_MAX_BYTES } from '../limits.ts';
import { CONFIGFS_TSM, openConfigfsTsm } from './configfs-tsm.ts';
import { AZURE_PAGE, WORKERS_PAGE, type Finding, type Probe } from './finding.ts';
import { isThere, textOf } from './glance.ts';
import { systemCodeOf, type Guest } from './guest.ts';

const KERNEL_MIN = { major: 6, minor: 7 } as const;

/** Never throws. */
export async function probeConfigfsTsm(guest: Guest, signal: AbortSignal): Promise<Probe> {
  try {
    const provider = await openConfigfsTsm({ privlevel: 0 }, guest, signal);
    return { finding: await works(provider.tee, guest), provider };
  } catch (error) {
    return { finding: await diagnose(error, guest) };
  }
}

const KERNEL_NAMES: Readonly<Record<TeeName, string>> = { tdx: 'TDX', snp: 'SEV-SNP' };

async function works(tee: TeeName, guest: Guest): Promise<Finding> {
  const log = tee === 'tdx' ? ` ${await eventLogState(guest)}` : '';
  return {
    name: CONFIGFS_TSM,
    found: true,
    reason: 'works',
    detail: `The kernel offers reports of a ${KERNEL_NAMES[tee]} guest.${log}`,
  };
}

async function eventLogState({ files, paths }: Guest): Promise<string> {
  try {
    await files.read(paths.ccel, EVENT_LOG_MAX_BYTES);
    return 'Its event log can be read.';
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return 'The firmware left no event log.';
    return 'Its event log cannot be read by this process, and will be missing from the evidence.';
  }
}

type Words = Omit<Finding, 'name'>;

async function diagnose(error: unknown, guest: Guest): Promise<Finding> {
  const code = error instanceof VeilError ? error.code : '';
  const words = code === 'evidence.unavailable' ? await whatIsMissing(guest) : BY_CODE[code];
  return { name: CONFIGFS_TSM, ...(words ?? FAILED) };
}

const BY_CODE: Readonly<Record<string, Words>> = {
  'evidence.permission': {
    found: true,
    reason: 'permission',
    detail: 'The report interface of the kernel is there, but this process may not use it.',
    remedy:
      'Run the worker as root or with the capability CAP_DAC_OVERRIDE: the kernel makes the files of each request for root alone, so rights on the folder do not help. In a container, mount /sys/kernel/config of the machine writable.',
  },
  'evidence.unsupported': {
    found: true,
    reason: 'unsupported',
    detail: 'The kernel offers reports of a kind of machine that cannot be verified here.',
    remedy: 'Use an Intel TDX or AMD SEV-SNP machine.',
  },
  'evidence.privilege_level': {
    found: true,
    reason: 'privilege-level',
    detail:
      'This SEV-SNP guest runs below privilege level (VMPL) 0, under a paravisor or an SVSM, and may not ask for a report of level 0.',
    remedy: `Start the guest without one, or write the level into "privlevel" where the policy admits it. On Azure see ${AZURE_PAGE}.`,
  },
};

const FAILED: Words = {
  found: true,
  reason: 'failed',
  detail: 'The report interface of the kernel is there, but did not answer as it should.',
  remedy: 'Try again. If it stays so, look at the kernel log for tdx_guest or sev-guest.',
};

/** From the outside in: is this such a machine, is the kernel new enough, is configfs there, is the module? */
async function whatIsMissing(guest: Guest): Promise<Words> {
  const tee = await teeHint(guest);
  if (tee === undefined) return NOT_CONFIDENTIAL;
  const { paths } = guest;
  const name = KERNEL_NAMES[tee];
  const module = tee === 'tdx' ? 'tdx_guest' : 'sev-guest';
  if (await isThere(guest, paths.reports)) {
    return {
      found: true,
      reason: 'module-missing',
      detail: `This is a ${name} guest, but no driver gives reports.`,
      remedy: `Load the driver: modprobe ${module}. In a container, load it on the machine.`,
    };
  }
  if (await kernelIsTooOld(guest)) {
    return {
      found: false,
      reason: 'kernel-too-old',
      detail: `This is a ${name} guest whose kernel has no report interface.`,
      remedy: `Use Linux ${KERNEL_MIN.major}.${KERNEL_MIN.minor} or later, built with CONFIG_TSM_REPORTS.`,
    };
  }
  const mounts = await textOf(guest, paths.mounts, SYSTEM_TEXT_MAX_BYTES);
  if (!mounts.split('\n').some((line) => line.includes(` ${paths.configfs} configfs `))) {
    return {
      found: false,
      reason: 'not-mounted',
      detail: `This is a ${name} guest, but configfs is not mounted.`,
      remedy: `mount -t configfs none ${paths.configfs} (then, if need be, modprobe ${module}). In a container, mount ${paths.configfs} of the machine.`,
    };
  }
  return {
    found: false,
    reason: 'module-missing',
    detail: `This is a ${name} guest, but nothing has registered with configfs.`,
    remedy: `Load the driver: modprobe ${module}. If there is none, the kernel lacks CONFIG_TSM_REPORTS.`,
  };
}

const NOT_CONFIDENTIAL: Words = {
  found: false,
  reason: 'not-confidential',
  detail: 'Neither the processor nor a device speaks of a TDX or SEV-SNP guest.',
  remedy: `Start the worker inside a confidential machine; see ${WORKERS_PAGE}. For development without one, ask for the simulator by name.`,
};

async function teeHint(guest: Guest): Promise<TeeName | undefined> {
  const { paths } = guest;
  const flags = await cpuFlags(guest);
  if (flags.has('tdx_guest') || (await isThere(guest, paths.tdxDevice))) return 'tdx';
  // `sev_snp` alone is what the host itself shows.
  if (flags.has('sev_snp') && flags.has('hypervisor')) return 'snp';
  const devices = [paths.snpDevice, paths.snpPlatformDevice];
  for (const path of devices) if (await isThere(guest, path)) return 'snp';
  return undefined;
}

async function cpuFlags(guest: Guest): Promise<ReadonlySet<string>> {
  const text = await textOf(guest, guest.paths.cpuInfo, SYSTEM_TEXT_MAX_BYTES);
  const line = text.split('\n').find((candidate) => candidate.startsWith('flags'));
  return new Set((line ?? '').split(/\s+/));
}

async function kernelIsTooOld(guest: Guest): Promise<boolean> {
  const release = await textOf(guest, guest.paths.kernelRelease, ATTRIBUTE_MAX_BYTES);
  const [, major, minor] = /^(\d{1,4})\.(\d{1,4})/.exec(release) ?? [];
  if (major === undefined || minor === undefined) return false;
  if (Number(major) !== KERNEL_MIN.major) return Number(major) < KERNEL_MIN.major;
  return Number(minor) < KERNEL_MIN.minor;
}
