/**
 * What evidence providers touch of the system they run in: a few files, and time. A port, because pseudo file systems
 * answer to writes and plain files do not: tests bring a guest whose kernel they wrote themselves.
 * Spec: Linux Documentation/ABI/testing/configfs-tsm-report; Documentation/filesystems/configfs.rst.
 * @module
 */

import { constants } from 'node:fs';
import { mkdir, open, rmdir, stat } from 'node:fs/promises';
import { Gatherer } from '../../core/bytes.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { providerError } from '../errors.ts';

/** Every method throws the system's error, whose `code` is such as `EBUSY`. */
export interface GuestFiles {
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** The whole content. Throws `evidence.oversized` when it is longer; never holds more than that in memory. */
  read(path: string, maxBytes: number): Promise<Uint8Array>;
  /** In one piece, to a file that is there. Resolves after the file was closed. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Undefined: there is nothing. Follows links. */
  kindOf(path: string): Promise<'folder' | 'file' | 'socket' | 'other' | undefined>;
}

export interface GuestPaths {
  /** Where configfs is mounted, and the folder of the report interface below it. */
  readonly configfs: string;
  readonly reports: string;
  /** The event log of a TDX guest: the content that the ACPI table CCEL points to. */
  readonly ccel: string;
  readonly dstackSockets: readonly string[];
  /** Of the agent that dstack had before: it hashes what it is given. */
  readonly legacyDstackSockets: readonly string[];
  readonly tdxDevice: string;
  readonly snpDevice: string;
  /** Registered by the kernel of every SNP guest, whether or not the module is loaded. */
  readonly snpPlatformDevice: string;
  readonly kernelRelease: string;
  readonly cpuInfo: string;
  readonly mounts: string;
  readonly chassisAssetTag: string;
  readonly systemVendor: string;
  readonly tpm: string;
}

export interface Guest {
  readonly files: GuestFiles;
  readonly paths: GuestPaths;
  /** Resolves to false when `signal` aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<boolean>;
}

const CHUNK_BYTES = 16_384;

/** Files as they are. Nothing is created but directories, and the last part of a path is no link. */
export const nodeFiles: GuestFiles = {
  mkdir: async (path) => {
    await mkdir(path);
  },
  rmdir: (path) => rmdir(path),
  read: async (path, maxBytes) => {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const content = new Gatherer();
      const chunk = new Uint8Array(CHUNK_BYTES);
      for (;;) {
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) return new Uint8Array(content.bytes());
        if (content.size + bytesRead > maxBytes) {
          throw providerError('evidence.oversized', '', { facts: { maxBytes } });
        }
        content.push(chunk.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  },
  write: async (path, bytes) => {
    // Neither O_CREAT nor O_TRUNC: a mistaken path must not become a file.
    const handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten !== bytes.length) throw providerError('evidence.busy', 'a write was cut');
    } finally {
      await handle.close();
    }
  },
  kindOf: async (path) => {
    try {
      const found = await stat(path);
      if (found.isDirectory()) return 'folder';
      if (found.isSocket()) return 'socket';
      return found.isFile() ? 'file' : 'other';
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error))) return undefined;
      throw error;
    }
  },
};

/** The `code` of a system error, else ''. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

const CONFIGFS = '/sys/kernel/config';

export const thisGuest: Guest = {
  files: nodeFiles,
  wait: pause,
  paths: {
    configfs: CONFIGFS,
    reports: `${CONFIGFS}/tsm/report`,
    ccel: '/sys/firmware/acpi/tables/data/CCEL',
    dstackSockets: ['/var/run/dstack.sock', '/var/run/dstack/dstack.sock'],
    legacyDstackSockets: ['/var/run/tappd.sock', '/var/run/dstack/tappd.sock'],
    tdxDevice: '/dev/tdx_guest',
    snpDevice: '/dev/sev-guest',
    snpPlatformDevice: '/sys/devices/platform/sev-guest',
    kernelRelease: '/proc/sys/kernel/osrelease',
    cpuInfo: '/proc/cpuinfo',
    mounts: '/proc/self/mounts',
    chassisAssetTag: '/sys/class/dmi/id/chassis_asset_tag',
    systemVendor: '/sys/class/dmi/id/sys_vendor',
    tpm: '/dev/tpmrm0',
  },
};
