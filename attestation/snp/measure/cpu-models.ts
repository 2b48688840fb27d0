/**
 * QEMU's names of AMD server CPUs, and the CPUID signature that each shows to its guest. The name, not the machine it
 * runs on, decides the launch digest; versions of a model differ in features, never in the signature.
 * Spec: QEMU, target/i386/cpu.c, `builtin_x86_defs`; AMD 25481 (CPUID), "CPUID Fn0000_0001_EAX".
 * @module
 */

import { measureError } from './errors.ts';

export interface CpuModel {
  /** As QEMU, or as the caller, has it. */
  readonly name: string;
  /** CPUID Fn0000_0001 EAX. */
  readonly signature: number;
}

interface FamilyModelStepping {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

const EPYC = { family: 23, model: 1, stepping: 2 };
const ROME = { family: 23, model: 49, stepping: 0 };
const MILAN = { family: 25, model: 1, stepping: 1 };
const GENOA = { family: 25, model: 17, stepping: 0 };
const TURIN = { family: 26, model: 0, stepping: 0 };

/** The signature that a guest sees. Throws `measure.cpu_model` for numbers that have no place in it. */
export function cpuSignature({ family, model, stepping }: FamilyModelStepping): number {
  const fits = (value: number, max: number): boolean =>
    Number.isInteger(value) && value >= 0 && value <= max;
  if (!fits(family, 0xf + 0xff) || !fits(model, 0xff) || !fits(stepping, 0xf)) {
    throw measureError('measure.cpu_model', 'family, model or stepping is out of range');
  }
  const baseFamily = Math.min(family, 0xf);
  const extendedFamily = family - baseFamily;
  const [extendedModel, baseModel] = [model >>> 4, model & 0xf];
  return (
    extendedFamily * 0x10_0000 +
    extendedModel * 0x1_0000 +
    baseFamily * 0x100 +
    baseModel * 0x10 +
    stepping
  );
}

function versions(name: string, last: number, cpu: FamilyModelStepping): readonly CpuModel[] {
  const suffixes = Array.from({ length: last }, (_, at) => `-v${at + 1}`);
  const signature = cpuSignature(cpu);
  return ['', ...suffixes].map((suffix) => ({ name: `${name}${suffix}`, signature }));
}

export const CPU_MODELS: readonly CpuModel[] = [
  ...versions('EPYC', 5, EPYC),
  { name: 'EPYC-IBPB', signature: cpuSignature(EPYC) },
  ...versions('EPYC-Rome', 5, ROME),
  ...versions('EPYC-Milan', 3, MILAN),
  ...versions('EPYC-Genoa', 2, GENOA),
  ...versions('EPYC-Turin', 1, TURIN),
];

const SIGNATURE = /^0x[0-9a-f]{1,8}$/i;
const FAMILY_MODEL_STEPPING = /^(\d{1,3})-(\d{1,3})-(\d{1,2})$/;

/**
 * A CPU as a person names it: a model (`EPYC-Milan`), a signature (`0x00a00f11`), or family, model and stepping in
 * decimal (`25-1-1`). Throws `measure.cpu_model`.
 */
export function decodeCpu(text: string): CpuModel {
  const found = CPU_MODELS.find(({ name }) => name.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  if (SIGNATURE.test(text)) return { name: text.toLowerCase(), signature: Number(text) };
  const [, family, model, stepping] = FAMILY_MODEL_STEPPING.exec(text)?.map(Number) ?? [];
  if (family !== undefined && model !== undefined && stepping !== undefined) {
    return { name: text, signature: cpuSignature({ family, model, stepping }) };
  }
  throw measureError(
    'measure.cpu_model',
    'want a QEMU model such as EPYC-Milan, a CPUID signature such as 0x00a00f11, or family-model-stepping such as 25-1-1',
  );
}
