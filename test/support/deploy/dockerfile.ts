/**
 * Reads a Dockerfile and holds it to the rules of docs/deploy.md. No builder is asked: what is checked is what the text says.
 * Spec: Dockerfile reference, "Format", "FROM", "COPY", "USER", "HEALTHCHECK". @module
 */

import { existsSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '../../../core/json.ts';
import { utf8 } from '../../../core/bytes.ts';
import { closureOf } from './import-closure.ts';

export interface Instruction {
  readonly word: string;
  readonly rest: string;
}

export interface Stage {
  readonly from: string;
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly args: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
}

export function parseDockerfile(text: string): Dockerfile {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  const joined = lines.join('\n').replaceAll(/\\\n\s*/g, '');
  const args: Record<string, string> = {};
  const stages: { from: string; name: string; instructions: Instruction[] }[] = [];
  for (const line of joined.split('\n')) {
    const [, word = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (word === '') throw new Error(`no instruction: ${line}`);
    if (word === 'FROM') {
      const [, from = '', name = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      stages.push({ from, name, instructions: [] });
    } else if (stages.length === 0) {
      const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(rest) ?? [];
      args[name] = value;
    } else {
      stages.at(-1)?.instructions.push({ word, rest });
    }
  }
  return { args, stages };
}

/** The instructions of a stage with those of the stages it is made from, first things first. */
export function chainOf(file: Dockerfile, name: string): readonly Instruction[] {
  const stage = file.stages.find((one) => one.name === name);
  if (stage === undefined) return [];
  return [...chainOf(file, stage.from), ...stage.instructions];
}

/** Undefined for the shell form. */
export function execForm(rest: string): readonly string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  return z.array(z.string()).parse(parseJson(utf8(rest), rest.length));
}

interface Copy {
  readonly from: string | undefined;
  readonly sources: readonly string[];
}

export function copiesIn(instructions: readonly Instruction[]): readonly Copy[] {
  return instructions
    .filter(({ word }) => word === 'COPY')
    .map(({ rest }) => {
      const words = rest.split(/\s+/);
      const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
      return { from, sources: words.filter((word) => !word.startsWith('--')).slice(0, -1) };
    });
}

/** The stage that takes the code in and makes it readable. */
const SOURCES = 'sources';
const READABLE = 'chmod -R u=rwX,go=rX .';

/** What of the repository is in an image, as paths from its top. */
function codeIn(instructions: readonly Instruction[]): readonly string[] {
  return copiesIn(instructions)
    .filter(({ from }) => from === SOURCES)
    .flatMap(({ sources }) => sources.map((path) => path.replace(/^\/app\//, '')));
}

/** Folders that an image brings for volumes. */
export function foldersMade(file: Dockerfile): readonly string[] {
  return file.stages
    .flatMap(({ instructions }) => instructions)
    .filter(({ word, rest }) => word === 'RUN' && rest.startsWith('install -d '))
    .flatMap(({ rest }) => rest.split(/\s+/).filter((part) => part.startsWith('/')));
}

export interface DockerfileRules {
  /** Stages that become images. */
  readonly targets: readonly string[];
  readonly nodeVersion: string;
  /** Imports that are text for somebody else's program. */
  readonly notLoaded: readonly string[];
}

export function dockerfileProblems(text: string, rules: DockerfileRules): readonly string[] {
  const file = parseDockerfile(text);
  return [
    ...baseProblems(file, rules),
    ...copyProblems(file),
    ...sourcesProblems(file, rules),
    ...runProblems(file),
    ...rules.targets.flatMap((target) => targetProblems(file, target, rules)),
  ];
}

function baseProblems({ args, stages }: Dockerfile, rules: DockerfileRules): readonly string[] {
  const image = args['NODE_IMAGE'] ?? '';
  const isExact = new RegExp(`^node:${rules.nodeVersion.replaceAll('.', '\\.')}-[a-z]+-slim$`);
  const known = new Set<string>(['${NODE_IMAGE}']);
  return [
    ...(isExact.test(image) ? [] : [`base image: ${image}`]),
    ...stages.flatMap(({ from, name }) => {
      const isKnown = known.has(from);
      known.add(name);
      return isKnown ? [] : [`stage ${name}: from ${from}`];
    }),
  ];
}

function copyProblems({ stages }: Dockerfile): readonly string[] {
  const names = stages.map(({ name }) => name);
  return stages.flatMap(({ name, instructions }) => [
    ...instructions.filter(({ word }) => word === 'ADD').map(() => `stage ${name}: ADD`),
    ...copiesIn(instructions).flatMap(({ from, sources }) =>
      from === undefined
        ? sources
            .filter((path) => /^[./]*$|^\/|\.\./.test(path) || !existsSync(path))
            .map((path) => `stage ${name}: no COPY of ${path}`)
        : names.includes(from)
          ? []
          : [`stage ${name}: COPY from ${from}`],
    ),
  ]);
}

/** Taken from the repository once, and made readable whatever the umask of whoever checked it out. */
function sourcesProblems(file: Dockerfile, { targets }: DockerfileRules): readonly string[] {
  const taken = chainOf(file, SOURCES);
  const paths = copiesIn(taken).flatMap(({ sources }) => sources);
  const { word, rest } = taken.at(-1) ?? { word: '', rest: '' };
  return [
    ...(word === 'RUN' && rest === READABLE ? [] : ['the code may be unreadable']),
    ...targets.flatMap((target) => {
      const chain = chainOf(file, target);
      return [
        ...codeIn(chain)
          .filter((path) => !paths.includes(path))
          .map((path) => `${target}: ${path} was not taken in`),
        ...copiesIn(chain)
          .filter(({ from }) => from === undefined)
          .map(({ sources }) => `${target}: ${sources.join(' ')} past the stage of the code`),
      ];
    }),
  ];
}

const NPM = 'npm ci --omit=dev --ignore-scripts --no-audit --no-fund';

function runProblems({ stages }: Dockerfile): readonly string[] {
  return stages.flatMap(({ name, instructions }) =>
    instructions
      .filter(({ word }) => word === 'RUN')
      .filter(({ rest }) => /\b(curl|wget|apt|apt-get|apk|npm|npx|yarn)\b/.test(rest))
      .filter(({ rest }) => rest !== NPM)
      .map(({ rest }) => `stage ${name}: RUN ${rest}`),
  );
}

function targetProblems(
  file: Dockerfile,
  target: string,
  rules: DockerfileRules,
): readonly string[] {
  const chain = chainOf(file, target);
  const last = (word: string): string | undefined =>
    chain.findLast((instruction) => instruction.word === word)?.rest;
  const entry = execForm(last('ENTRYPOINT') ?? '');
  const check = execForm((last('HEALTHCHECK') ?? '').replace(/^(--\S+\s+)*CMD /, ''));
  const user = /^([1-9]\d*):([1-9]\d*)$/.exec(last('USER') ?? '');
  const userAt = chain.findLastIndex(({ word }) => word === 'USER');
  const writtenAt = chain.findLastIndex(({ word }) => ['COPY', 'RUN'].includes(word));
  const programs = [entry, check].filter((words) => words !== undefined);
  return [
    ...(user === null ? [`${target}: user ${last('USER')}`] : []),
    ...(userAt < writtenAt ? [`${target}: something is written as the user`] : []),
    ...(entry === undefined ? [`${target}: entrypoint is no list`] : []),
    ...(execForm(last('CMD') ?? '') === undefined ? [`${target}: command is no list`] : []),
    ...(last('EXPOSE') !== undefined && check === undefined ? [`${target}: no health check`] : []),
    ...programs.filter(([program]) => program !== 'node').map(([it]) => `${target}: runs ${it}`),
    ...(entry === undefined
      ? []
      : sourceProblems(file, target, { entries: programs.map(([, path]) => path ?? ''), rules })),
  ];
}

/** Every file that its programs reach is in the image, and the packages are those they load. */
function sourceProblems(
  file: Dockerfile,
  target: string,
  { entries, rules }: { readonly entries: readonly string[]; readonly rules: DockerfileRules },
): readonly string[] {
  const chain = chainOf(file, target);
  const copied = codeIn(chain);
  const scripts = copied.filter((path) => path.endsWith('.mjs'));
  const { files, packages } = closureOf(...entries, ...scripts);
  const wanted = packages.filter((name) => !rules.notLoaded.includes(name));
  const packagesFrom = copiesIn(chain).find(({ from = '' }) => from.endsWith('-packages'))?.from;
  const kept = keptIn(chainOf(file, packagesFrom ?? ''));
  return [
    ...files
      .filter((path) => !copied.some((source) => path === source || path.startsWith(`${source}/`)))
      .map((path) => `${target}: ${path} is not in the image`),
    ...wanted.filter((name) => !kept.includes(name)).map((name) => `${target}: without ${name}`),
    ...kept.filter((name) => !wanted.includes(name)).map((name) => `${target}: needless ${name}`),
  ];
}

const KEEP = 'deploy/keep-packages.mjs';

/** Direct dependencies; the engine's binaries are chosen by processor. */
function keptIn(instructions: readonly Instruction[]): readonly string[] {
  const run = instructions.find(({ word, rest }) => word === 'RUN' && rest.includes(KEEP));
  const words = execForm(run?.rest ?? '') ?? run?.rest.split(/\s+/) ?? [];
  const names = words.slice(words.indexOf(KEEP) + 1);
  return names.filter((name) => /^(@[\w-]+\/)?\w[\w-]*$/.test(name));
}
