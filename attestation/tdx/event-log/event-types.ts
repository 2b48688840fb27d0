/**
 * The event types that TDX guests write: their names, what they are in plain words, and what their digest covers.
 * Spec: TCG PC Client Platform Firmware Profile 1.05, §10.4.1 "Event Types" (values, digests, data); Linux
 * `drivers/firmware/efi/libstub` (EV_EVENT_TAG); GNU GRUB `commands/efi/tpm.c` (EV_IPL).
 * @module
 */

export const EV_NO_ACTION = 0x3;
export const EV_SEPARATOR = 0x4;
export const EV_EVENT_TAG = 0x6;
export const EV_IPL = 0xd;
export const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001;
export const EV_EFI_VARIABLE_BOOT = 0x8000_0002;
export const EV_EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003;
export const EV_EFI_BOOT_SERVICES_DRIVER = 0x8000_0004;
export const EV_EFI_RUNTIME_SERVICES_DRIVER = 0x8000_0005;
export const EV_EFI_GPT_EVENT = 0x8000_0006;
export const EV_EFI_ACTION = 0x8000_0007;
export const EV_EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000_000a;
export const EV_EFI_HANDOFF_TABLES2 = 0x8000_000b;
export const EV_EFI_VARIABLE_BOOT2 = 0x8000_000c;
export const EV_EFI_VARIABLE_AUTHORITY = 0x8000_00e0;
/** dstack's own; not of the TCG. */
export const DSTACK_RUNTIME_EVENT = 0x0800_0001;

export interface EventType {
  readonly name: string;
  readonly means: string;
  /**
   * What the profile makes the digest of: the data, or a UEFI variable (as a whole, or its value alone: firmware does
   * both). A log with an event that contradicts this is never a match. Absent: the digest is of something else.
   */
  readonly covers?: 'data' | 'variable';
}

const EVENT_TYPES: ReadonlyMap<number, EventType> = new Map<number, EventType>([
  [0x0, { name: 'EV_PREBOOT_CERT', means: 'certificate used before boot' }],
  [0x1, { name: 'EV_POST_CODE', means: 'firmware code' }],
  [EV_NO_ACTION, { name: 'EV_NO_ACTION', means: 'remark, not measured' }],
  [EV_SEPARATOR, { name: 'EV_SEPARATOR', means: 'end of the firmware phase', covers: 'data' }],
  [0x5, { name: 'EV_ACTION', means: 'firmware action', covers: 'data' }],
  [EV_EVENT_TAG, { name: 'EV_EVENT_TAG', means: 'tagged event of the kernel' }],
  [0x7, { name: 'EV_S_CRTM_CONTENTS', means: 'root of trust' }],
  [0x8, { name: 'EV_S_CRTM_VERSION', means: 'firmware version' }],
  [0x9, { name: 'EV_CPU_MICROCODE', means: 'microcode' }],
  [0xa, { name: 'EV_PLATFORM_CONFIG_FLAGS', means: 'platform configuration' }],
  [0xb, { name: 'EV_TABLE_OF_DEVICES', means: 'device table' }],
  [0xc, { name: 'EV_COMPACT_HASH', means: 'compact hash' }],
  [EV_IPL, { name: 'EV_IPL', means: 'boot loader' }],
  [0xe, { name: 'EV_IPL_PARTITION_DATA', means: 'partition data' }],
  [0xf, { name: 'EV_NONHOST_CODE', means: 'code of another processor' }],
  [0x10, { name: 'EV_NONHOST_CONFIG', means: 'configuration of another processor' }],
  [0x11, { name: 'EV_NONHOST_INFO', means: 'statement about the host' }],
  [0x12, { name: 'EV_OMIT_BOOT_DEVICE_EVENTS', means: 'boot devices left out' }],
  [0x13, { name: 'EV_POST_CODE2', means: 'firmware code' }],
  [0x14, { name: 'IMA_MEASUREMENT_EVENT', means: 'file measured by the kernel' }],
  [DSTACK_RUNTIME_EVENT, { name: 'DSTACK_RUNTIME_EVENT', means: 'runtime event of dstack' }],
  [
    EV_EFI_VARIABLE_DRIVER_CONFIG,
    { name: 'EV_EFI_VARIABLE_DRIVER_CONFIG', means: 'secure boot setting', covers: 'variable' },
  ],
  [
    EV_EFI_VARIABLE_BOOT,
    { name: 'EV_EFI_VARIABLE_BOOT', means: 'boot variable', covers: 'variable' },
  ],
  [
    EV_EFI_BOOT_SERVICES_APPLICATION,
    { name: 'EV_EFI_BOOT_SERVICES_APPLICATION', means: 'boot application' },
  ],
  [EV_EFI_BOOT_SERVICES_DRIVER, { name: 'EV_EFI_BOOT_SERVICES_DRIVER', means: 'boot driver' }],
  [
    EV_EFI_RUNTIME_SERVICES_DRIVER,
    { name: 'EV_EFI_RUNTIME_SERVICES_DRIVER', means: 'runtime driver' },
  ],
  [EV_EFI_GPT_EVENT, { name: 'EV_EFI_GPT_EVENT', means: 'partition table', covers: 'data' }],
  [EV_EFI_ACTION, { name: 'EV_EFI_ACTION', means: 'firmware action', covers: 'data' }],
  [0x8000_0008, { name: 'EV_EFI_PLATFORM_FIRMWARE_BLOB', means: 'firmware volume' }],
  [0x8000_0009, { name: 'EV_EFI_HANDOFF_TABLES', means: 'table handed to the firmware' }],
  [
    EV_EFI_PLATFORM_FIRMWARE_BLOB2,
    { name: 'EV_EFI_PLATFORM_FIRMWARE_BLOB2', means: 'firmware volume' },
  ],
  [EV_EFI_HANDOFF_TABLES2, { name: 'EV_EFI_HANDOFF_TABLES2', means: 'table from the host' }],
  [
    EV_EFI_VARIABLE_BOOT2,
    { name: 'EV_EFI_VARIABLE_BOOT2', means: 'boot variable', covers: 'variable' },
  ],
  [0x8000_000d, { name: 'EV_EFI_GPT_EVENT2', means: 'partition table' }],
  [0x8000_0010, { name: 'EV_EFI_HCRTM_EVENT', means: 'root of trust' }],
  [
    EV_EFI_VARIABLE_AUTHORITY,
    { name: 'EV_EFI_VARIABLE_AUTHORITY', means: 'key that admitted a program', covers: 'variable' },
  ],
  [0x8000_00e1, { name: 'EV_EFI_SPDM_FIRMWARE_BLOB', means: 'device firmware' }],
  [0x8000_00e2, { name: 'EV_EFI_SPDM_FIRMWARE_CONFIG', means: 'device configuration' }],
  [0x8000_00e3, { name: 'EV_EFI_SPDM_DEVICE_POLICY', means: 'device policy' }],
  [0x8000_00e4, { name: 'EV_EFI_SPDM_DEVICE_AUTHORITY', means: 'device key' }],
]);

/** Types that nobody told us of have a number for a name. */
export function eventType(type: number): EventType {
  const known = EVENT_TYPES.get(type);
  return known ?? { name: `0x${type.toString(16).padStart(8, '0')}`, means: 'unknown event type' };
}
