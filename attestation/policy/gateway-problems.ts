/**
 * Sense of the section about gateways, and that the two roles share nothing: no name, no workload, nothing that a machine
 * measures. A worker's image listed as a gateway's too would be one that may read everything twice over.
 * Spec: docs/attested-gateway.md "Policy".
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import { duplicates, unknownNames, workloadName, type Inconsistency } from './inconsistencies.ts';
import type { PolicyDocument, PolicyGateways, PolicyImage } from './schema.ts';

type AnyImage = PolicyImage | PolicyGateways['images'][number];

export function gatewayProblems(document: PolicyDocument): readonly Inconsistency[] {
  const { gateways } = document;
  if (gateways === undefined) return [];
  const { rules, images } = gateways;
  const [inRules, inImages] = [
    ['gateways', 'rules'],
    ['gateways', 'images'],
  ] as const;
  const known = new Set(images.map(({ name }) => name));
  return [
    ...duplicates(
      rules.map(({ id }) => id),
      inRules,
    ),
    ...duplicates(
      images.map(({ name }) => name),
      inImages,
    ),
    ...duplicates(images.map(workloadName), inImages, 'the workload of another image'),
    ...rules.flatMap((rule, index) =>
      unknownNames(rule.images, known, [...inRules, index, 'images']),
    ),
    ...shared(document.rules, rules, ({ id }) => [id]).map((index): Inconsistency => ({
      path: [...inRules, index],
      what: 'the name of a rule for workers',
    })),
    ...sharedImages(document.images, images),
  ];
}

/** Which of `theirs` have something that one of `ours` has. */
function shared<Ours, Theirs>(
  ours: readonly Ours[],
  theirs: readonly Theirs[],
  namesOf: (entry: Ours | Theirs) => readonly string[],
): readonly number[] {
  const taken = new Set(ours.flatMap(namesOf));
  return theirs.flatMap((entry, index) =>
    namesOf(entry).some((name) => taken.has(name)) ? [index] : [],
  );
}

const SHARED_BY_IMAGES: readonly (readonly [
  what: string,
  namesOf: (image: AnyImage) => readonly string[],
])[] = [
  ['the name of an image of workers', ({ name }) => [name]],
  ['the workload of an image of workers', (image) => [workloadName(image)]],
  ['measured like an image of workers', measuredNames],
];

function sharedImages(
  workers: readonly AnyImage[],
  gateways: readonly AnyImage[],
): readonly Inconsistency[] {
  return SHARED_BY_IMAGES.flatMap(([what, namesOf]) =>
    shared(workers, gateways, namesOf).map((index) => ({
      path: ['gateways', 'images', index],
      what,
    })),
  );
}

/** Whole tuples, as they are judged. */
function measuredNames(image: AnyImage): readonly string[] {
  const own = [image.mrconfigid, image.mrowner, image.mrownerconfig];
  const tdx = (image.tdx ?? []).map(({ mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }) =>
    joined('tdx', [mrtd, rtmr0, rtmr1, rtmr2, rtmr3, ...own]),
  );
  const snp = (image.snp ?? []).map((tuple) =>
    joined('snp', [tuple.measurement, tuple.host_data, tuple.id_key_digest]),
  );
  return [...tdx, ...snp];
}

function joined(tee: string, registers: readonly (Bytes<48> | Bytes<32> | undefined)[]): string {
  return [tee, ...registers.map((bytes) => (bytes === undefined ? '' : toHex(bytes)))].join(' ');
}
