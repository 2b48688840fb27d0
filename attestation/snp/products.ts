/**
 * Which processors there are, how they are told apart, and how each lays out its TCB version. Silicon lines of one product
 * count their microcode apart, so TCB floors are kept per line.
 * Spec: AMD SEV-SNP Firmware ABI (56860) table "ATTESTATION_REPORT", CPUID_FAM_ID and CPUID_MOD_ID; AMD VCEK Certificate
 * and KDS Interface Specification (57230) §3, "productName".
 * @module
 */

export type SnpProductName = 'milan' | 'genoa' | 'turin';
export type SiliconLine =
  | 'milan'
  | 'milan-x'
  | 'genoa'
  | 'genoa-x'
  | 'bergamo-siena'
  | 'turin'
  | 'turin-dense';

export const SILICON_LINES = [
  'milan',
  'milan-x',
  'genoa',
  'genoa-x',
  'bergamo-siena',
  'turin',
  'turin-dense',
] as const satisfies readonly SiliconLine[];

/** 0: bootloader, TEE, SNP, microcode. 1: FMC before them. `structVersion` of the leaf certificate has the same number. */
export type TcbLayout = 0 | 1;

export interface Cpuid {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

export interface SnpProduct {
  readonly name: SnpProductName;
  /** In AMD's certificates and in the addresses of its key distribution service. */
  readonly amdName: string;
  readonly layout: TcbLayout;
  /** Of HWID in the leaf, and of CHIP_ID before its zeros. */
  readonly hwidBytes: 8 | 64;
  readonly family: number;
  /** First and last model of each range, both included. */
  readonly models: readonly (readonly [first: number, last: number])[];
}

export const SNP_PRODUCTS: readonly SnpProduct[] = [
  {
    name: 'milan',
    amdName: 'Milan',
    layout: 0,
    hwidBytes: 64,
    family: 0x19,
    models: [[0x00, 0x0f]],
  },
  {
    name: 'genoa',
    amdName: 'Genoa',
    layout: 0,
    hwidBytes: 64,
    family: 0x19,
    models: [
      [0x10, 0x1f],
      [0xa0, 0xaf],
    ],
  },
  {
    name: 'turin',
    amdName: 'Turin',
    layout: 1,
    hwidBytes: 8,
    family: 0x1a,
    models: [[0x00, 0x1f]],
  },
];

/** Undefined for processors nobody has described to us. */
export function productOfCpuid({ family, model }: Cpuid): SnpProduct | undefined {
  return SNP_PRODUCTS.find(
    (product) =>
      product.family === family &&
      product.models.some(([first, last]) => first <= model && model <= last),
  );
}

/** `Milan-B0`: only what stands before the dash counts, steppings there are not reliable. */
export function productOfAmdName(name: string): SnpProduct | undefined {
  const [family] = name.split('-');
  return SNP_PRODUCTS.find(({ amdName }) => amdName === family);
}

const STACKED_CACHE_STEPPING = 2;
const ZEN4C_FIRST_MODEL = 0xa0;
const TURIN_DENSE_FIRST_MODEL = 0x10;

/** Without CPUID (report version 2) the product's plain line. */
export function siliconLineOf({ name }: SnpProduct, cpuid: Cpuid | undefined): SiliconLine {
  if (cpuid === undefined) return name;
  const isStacked = cpuid.stepping === STACKED_CACHE_STEPPING;
  if (name === 'milan') return isStacked ? 'milan-x' : 'milan';
  if (name === 'turin') return cpuid.model >= TURIN_DENSE_FIRST_MODEL ? 'turin-dense' : 'turin';
  if (cpuid.model >= ZEN4C_FIRST_MODEL) return 'bergamo-siena';
  return isStacked ? 'genoa-x' : 'genoa';
}
