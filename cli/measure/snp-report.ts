/**
 * What `veilgate measure snp` says: an entry for the `images` of a policy, preceded by what it was computed from as
 * comments. All of it together is YAML, so it can be saved and pasted as it is; a policy refuses it until its owner has
 * filled in what only the owner knows. For programs, one line of JSON.
 * @module
 */

import { basename } from 'node:path';
import { jsonLine, paint } from '../../core/node/terminal.ts';
import { toHex, type Bytes } from '../../core/bytes.ts';
import type { HashedFile } from './files.ts';

export interface MeasuredShape {
  /** As the policy calls it. */
  readonly shape: string;
  readonly vcpus: number;
  /** Models that lead to this digest; empty where the monitor does not measure the CPU. */
  readonly cpus: readonly string[];
  readonly measurement: Bytes<48>;
}

export interface SnpReport {
  readonly name: string | undefined;
  readonly vmm: { readonly name: string; readonly title: string };
  readonly guestFeatures: bigint;
  readonly firmware: {
    readonly path: string;
    readonly sizeBytes: number;
    readonly digest: Bytes<48>;
    readonly digestIsGiven: boolean;
  };
  readonly kernel: HashedFile | undefined;
  readonly initrd: HashedFile | undefined;
  readonly commandLine: string | undefined;
  readonly shapes: readonly MeasuredShape[];
  /** As the policy writes them: hex or `zero`. */
  readonly hostData: string;
  readonly idKeyDigest: string;
}

/** One line of ASCII, no line break. */
export function snpReportJson(report: SnpReport): string {
  const { firmware, kernel, initrd } = report;
  return jsonLine({
    name: report.name ?? null,
    vmm: report.vmm.name,
    guestFeatures: hexOf(report.guestFeatures),
    ovmf: { path: firmware.path, bytes: firmware.sizeBytes, digest: toHex(firmware.digest) },
    kernel: fileJson(kernel),
    initrd: fileJson(initrd),
    cmdline: report.commandLine ?? null,
    snp: report.shapes.map(({ shape, vcpus, cpus, measurement }) => ({
      shape,
      vcpus,
      cpus,
      measurement: toHex(measurement),
      host_data: report.hostData,
      id_key_digest: report.idKeyDigest,
    })),
  });
}

function fileJson(file: HashedFile | undefined): unknown {
  if (file === undefined) return null;
  return { path: file.path, bytes: file.sizeBytes, sha256: toHex(file.sha256) };
}

export function snpReportLines(report: SnpReport): readonly string[] {
  return [...commentLines(report), ...imageLines(report)];
}

/** The table is what a person looks for; the rest stands back. */
function commentLines(report: SnpReport): readonly string[] {
  const { vmm, guestFeatures, firmware, shapes } = report;
  const given = firmware.digestIsGiven ? ', as given' : '';
  const dim = (lines: readonly string[]): readonly string[] =>
    comments(lines).map((line) => paint('dim', line));
  return [
    ...dim([
      `SEV-SNP launch digests under ${vmm.title}, guest features ${hexOf(guestFeatures)}`,
      `  firmware      ${shown(basename(firmware.path))}, ${sizeOf(firmware.sizeBytes)}`,
      `                --ovmf-hash ${toHex(firmware.digest)}${given}`,
      ...kernelLines(report),
      '',
    ]),
    ...comments(tableLines(shapes)),
    ...dim([
      '',
      'An entry for "images" of the policy. It does not load before the lines with <…> are filled in.',
    ]),
  ];
}

function comments(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `# ${line}`.trimEnd());
}

function kernelLines({ kernel, initrd, commandLine }: SnpReport): readonly string[] {
  if (kernel === undefined)
    return ['  kernel        none: what the firmware boots is not measured'];
  return [
    ...fileLines('kernel', kernel),
    ...(initrd === undefined ? ['  initrd        none'] : fileLines('initrd', initrd)),
    `  command line  ${shown(commandLine ?? '')}`,
  ];
}

function fileLines(label: string, { path, sizeBytes, sha256 }: HashedFile): readonly string[] {
  return [
    `  ${label.padEnd(12)}  ${shown(basename(path))}, ${sizeOf(sizeBytes)}`,
    `                SHA-256 ${toHex(sha256)}`,
  ];
}

const VCPUS_TITLE = 'vCPUs';
const CPU_TITLE = 'CPU';

function tableLines(shapes: readonly MeasuredShape[]): readonly string[] {
  const cpuColumn = ({ cpus }: MeasuredShape): string =>
    cpus.length === 0 ? 'any' : cpus.join(', ');
  const width = Math.max(CPU_TITLE.length, ...shapes.map((shape) => cpuColumn(shape).length));
  const row = (vcpus: string, cpu: string, measurement: string): string =>
    `  ${vcpus.padStart(VCPUS_TITLE.length)}  ${cpu.padEnd(width)}  ${measurement}`;
  return [
    row(VCPUS_TITLE, CPU_TITLE, 'MEASUREMENT'),
    ...shapes.map((shape) => row(String(shape.vcpus), cpuColumn(shape), toHex(shape.measurement))),
  ];
}

function imageLines({ name, shapes, hostData, idKeyDigest }: SnpReport): readonly string[] {
  const first =
    name === undefined ? '- # name: <lower-case name of this release>' : `- name: '${name}'`;
  return [
    first,
    "  # source: {repo: <where it was built from>, commit: '<40 hex digits>'}",
    '  # expires: <instant such as 2027-02-01T00:00:00Z>',
    "  # workload: {image: 'sha256:<64 hex digits>', config: 'sha256:<64 hex digits>', engine: <name>}",
    '  snp:',
    ...shapes.flatMap(({ shape, measurement }) => [
      `    - shape: ${shape}`,
      `      measurement: '${toHex(measurement)}'`,
      `      host_data: ${quoted(hostData)}`,
      `      id_key_digest: ${quoted(idKeyDigest)}`,
    ]),
  ];
}

/** A digest of digits alone would be a number. */
function quoted(value: string): string {
  return value === 'zero' ? value : `'${value}'`;
}

function hexOf(value: bigint): string {
  return `0x${value.toString(16)}`;
}

const KIB = 1024;
const MIB = 1024 * KIB;

function sizeOf(bytes: number): string {
  if (bytes < KIB) return `${bytes} bytes`;
  return bytes < MIB ? `${(bytes / KIB).toFixed(1)} KiB` : `${(bytes / MIB).toFixed(1)} MiB`;
}

/** A file name or command line inside a comment: whatever it holds, it stays on its line and moves no cursor. */
function shown(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
