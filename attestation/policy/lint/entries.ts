/** Entries that nobody uses, that stand twice, or that somebody meant to fill in later. @module */

import { toHex } from '../../../core/bytes.ts';
import { usesRegistry } from '../diff/entries.ts';
import { finding, type LintFinding, type LintSubject } from './finding.ts';
import type { PolicyImage } from '../schema.ts';
import type { PolicyPath } from '../yaml.ts';

export function lintEntries(subject: LintSubject): readonly LintFinding[] {
  return [
    ...developmentFindings(subject),
    ...unusedFindings(subject),
    ...advisoryFindings(subject),
    ...tupleFindings(subject),
    ...(subject.policy.document.development === true ? [] : placeholderFindings(subject)),
  ];
}

function developmentFindings({ policy }: LintSubject): readonly LintFinding[] {
  const { development, roots } = policy.document;
  if (development !== true) return [];
  const message =
    roots === undefined
      ? 'a development policy: not for anybody’s prompts'
      : 'a development policy with simulated roots: what it admits protects nothing';
  return [finding('policy.development', { at: policy.at('development'), message })];
}

function unusedFindings({ policy }: LintSubject): readonly LintFinding[] {
  const { rules, images, models, hosts, gateways } = policy.document;
  const tees = [...rules, ...(gateways?.rules ?? [])]
    .filter(usesRegistry)
    .map(({ cpu }) => cpu.tee);
  return [
    ...images.flatMap(({ name }, index) => {
      if (rules.some((rule) => rule.images.includes(name))) return [];
      const message = `no rule names image ${name}: its workers are refused`;
      return [finding('unused.image', { at: policy.at('images', index), message })];
    }),
    ...models.flatMap(({ id }, index) => {
      if (rules.some((rule) => rule.models.includes(id))) return [];
      const message = `no rule names model ${id}: nobody may serve it`;
      return [finding('unused.model', { at: policy.at('models', index), message })];
    }),
    ...hosts.flatMap(({ host, cpu }, index) => {
      if (tees.includes('ppid' in cpu ? 'tdx' : 'snp')) return [];
      const message = `no rule asks for host ${host}: want platforms: {registry: hosts}`;
      return [finding('unused.host', { at: policy.at('hosts', index), message })];
    }),
  ];
}

/** Only TDX has statuses to excuse. */
function advisoryFindings({ policy }: LintSubject): readonly LintFinding[] {
  const { rules, advisories } = policy.document;
  const seen = new Set<string>();
  return advisories.flatMap((entry, index) => {
    const at = policy.at('advisories', index);
    const foreign = entry.rules.filter((id) =>
      rules.some((rule) => rule.id === id && rule.cpu.tee !== 'tdx'),
    );
    const twice = entry.rules.filter((id) => {
      const key = `${entry.id} ${entry.admits} ${id}`;
      const isKnown = seen.has(key);
      seen.add(key);
      return isKnown;
    });
    return [
      ...(entry.rules.length === 0
        ? [finding('unused.advisory', { at, message: `advisory ${entry.id} is for no rule` })]
        : []),
      ...foreign.map((id) =>
        finding('unused.advisory', {
          at,
          message: `advisory ${entry.id} is for rule ${id}, which has no status to excuse: it is no tdx rule`,
        }),
      ),
      ...twice.map((id) =>
        finding('advisory.twice', {
          at,
          message: `advisory ${entry.id} is excused twice for rule ${id}`,
          hint: 'the later date counts: keep one',
        }),
      ),
    ];
  });
}

interface Measured {
  readonly image: string;
  readonly at: string;
  /** MRTD or MEASUREMENT. */
  readonly first: string;
  readonly whole: string;
}

function tuplesOf({ policy }: LintSubject): readonly Measured[] {
  return policy.document.images.flatMap((image, index) => [
    ...(image.tdx ?? []).map(({ shape: _shape, ...registers }, at) => ({
      image: image.name,
      at: policy.at('images', index, 'tdx', at),
      first: `MRTD ${toHex(registers.mrtd)}`,
      whole: [...Object.values(registers), ...ownRegisters(image)].map(toHex).join(),
    })),
    ...(image.snp ?? []).map(({ shape: _shape, ...registers }, at) => ({
      image: image.name,
      at: policy.at('images', index, 'snp', at),
      first: `MEASUREMENT ${toHex(registers.measurement)}`,
      whole: Object.values(registers).map(toHex).join(),
    })),
  ]);
}

function ownRegisters({ mrconfigid, mrowner, mrownerconfig }: PolicyImage): readonly Uint8Array[] {
  return [mrconfigid, mrowner, mrownerconfig].filter((value) => value !== undefined);
}

function tupleFindings(subject: LintSubject): readonly LintFinding[] {
  const wholes = new Map<string, Measured>();
  const firsts = new Map<string, Measured>();
  const said = new Set<string>();
  return tuplesOf(subject).flatMap((tuple) => {
    const same = wholes.get(tuple.whole);
    const shared = firsts.get(tuple.first);
    wholes.set(tuple.whole, same ?? tuple);
    firsts.set(tuple.first, shared ?? tuple);
    if (same !== undefined) {
      const message = `the same tuple stands in image ${same.image} (${same.at}) and image ${tuple.image}`;
      return [finding('measurement.twice', { at: tuple.at, message })];
    }
    const key = `${tuple.first} ${tuple.image}`;
    if (shared === undefined || shared.image === tuple.image || said.has(key)) return [];
    said.add(key);
    const [name = ''] = tuple.first.split(' ');
    const message = `${name} of image ${tuple.image} is that of image ${shared.image} (${shared.at})`;
    return [finding('measurement.shared', { at: tuple.at, message })];
  });
}

/** RTMR3 and what a machine does not use are zero with good reason. */
function placeholderFindings({ policy }: LintSubject): readonly LintFinding[] {
  const { images, models, hosts } = policy.document;
  const digests: readonly (readonly [path: PolicyPath, value: Uint8Array])[] = [
    ...images.flatMap((image, index) => imageDigests(image, ['images', index])),
    ...models.map(({ weights }, index) => [['models', index, 'weights'], weights] as const),
    ...hosts.map(
      ({ cpu }, index) =>
        [['hosts', index, 'cpu'], 'ppid' in cpu ? cpu.ppid : cpu.chip_id] as const,
    ),
  ];
  return [
    ...digests
      .filter(([, value]) => value.every((byte) => byte === value[0]))
      .map(([path]) =>
        finding('placeholder.digest', {
          at: policy.at(...path),
          message: `${path.map(String).join('.')} is one byte repeated: a placeholder`,
          hint: 'write the digest that was measured',
        }),
      ),
    ...images.flatMap(({ name, source: { commit } }, index) => {
      if (new Set(commit).size > 1) return [];
      const message = `the commit of image ${name} is one digit repeated: a placeholder`;
      return [finding('placeholder.commit', { at: policy.at('images', index, 'source'), message })];
    }),
  ];
}

function imageDigests(
  image: PolicyImage,
  path: PolicyPath,
): readonly (readonly [path: PolicyPath, value: Uint8Array])[] {
  return [
    [[...path, 'workload', 'image'], image.workload.image],
    [[...path, 'workload', 'config'], image.workload.config],
    ...(image.tdx ?? []).flatMap((tuple, at) =>
      (['mrtd', 'rtmr0', 'rtmr1', 'rtmr2'] as const).map(
        (name) => [[...path, 'tdx', at, name], tuple[name]] as const,
      ),
    ),
    ...(image.snp ?? []).map(
      (tuple, at) => [[...path, 'snp', at, 'measurement'], tuple.measurement] as const,
    ),
  ];
}
