/**
 * Reads the compose file and holds it to the rules of docs/deploy.md. No engine is asked: what is checked is what the text says.
 * Spec: Compose Specification, "services", "volumes", "depends_on", "healthcheck". @module
 */

import { parse } from 'yaml';
import { z } from 'zod';

const WORDS = z.array(z.string());
const SERVICE = z.looseObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string(), target: z.string() }),
  pull_policy: z.string().optional(),
  entrypoint: WORDS.optional(),
  command: WORDS.optional(),
  environment: z.record(z.string(), z.string()).default({}),
  read_only: z.boolean().default(false),
  cap_drop: WORDS.default([]),
  cap_add: WORDS.default([]),
  security_opt: WORDS.default([]),
  privileged: z.boolean().default(false),
  user: z.string().default(''),
  ulimits: z.looseObject({ core: z.int().default(1) }).prefault({}),
  network_mode: z.string().optional(),
  networks: WORDS.default([]),
  ports: WORDS.default([]),
  volumes: WORDS.default([]),
  healthcheck: z
    .looseObject({ disable: z.boolean().default(false), test: WORDS.default([]) })
    .prefault({}),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.string() })).default({}),
});
export type ComposeService = z.output<typeof SERVICE>;

const COMPOSE = z.looseObject({
  services: z.record(z.string(), SERVICE),
  networks: z.record(z.string(), z.looseObject({ internal: z.boolean().default(false) })),
  volumes: z.record(z.string(), z.strictObject({})),
});
export type Compose = z.output<typeof COMPOSE>;

export function parseCompose(text: string): Compose {
  return COMPOSE.parse(parse(text, { merge: true }));
}

export interface Mount {
  readonly volume: string;
  readonly at: string;
  readonly isReadOnly: boolean;
}

export function mountsOf({ volumes }: ComposeService): readonly Mount[] {
  return volumes.map((text) => {
    const [volume = '', at = '', mode] = text.split(':');
    return { volume, at, isReadOnly: mode === 'ro' };
  });
}

export interface ComposeRules {
  /** Stages of the Dockerfile. */
  readonly targets: readonly string[];
  /** Folders that the images bring for volumes. */
  readonly folders: readonly string[];
  /** Who has a volume, beside whoever fills them all: nobody else may see it. */
  readonly holders: Readonly<Record<string, readonly string[]>>;
  readonly filler: string;
  /** Volumes that only some may write to. */
  readonly writers: Readonly<Record<string, readonly string[]>>;
}

export function composeProblems(text: string, rules: ComposeRules): readonly string[] {
  const compose = parseCompose(text);
  return Object.entries(compose.services).flatMap(([name, service]) =>
    [
      ...hardening(service),
      ...images(service, rules),
      ...network(service, compose),
      ...volumes(name, { service, compose, rules }),
      ...health(service, compose),
    ].map((problem) => `${name}: ${problem}`),
  );
}

function hardening(service: ComposeService): readonly string[] {
  return [
    ...(service.read_only ? [] : ['its root can be written to']),
    ...(service.cap_drop.join() === 'ALL' && service.cap_add.length === 0 ? [] : ['capabilities']),
    ...(service.security_opt.join() === 'no-new-privileges:true' ? [] : ['new privileges']),
    ...(service.privileged ? ['privileged'] : []),
    ...(/^[1-9]\d*:[1-9]\d*$/.test(service.user) ? [] : [`user ${service.user}`]),
    ...(service.ulimits.core === 0 ? [] : ['core files']),
  ];
}

function images(
  { image, build, pull_policy: pull }: ComposeService,
  { targets }: ComposeRules,
): readonly string[] {
  return [
    ...(pull === 'build' ? [] : [`${image} may be pulled`]),
    ...(build.context === '..' && build.dockerfile === 'deploy/Dockerfile' ? [] : ['context']),
    ...(targets.includes(build.target) && image === `veilgate-${build.target}`
      ? []
      : [`no image ${build.target}`]),
  ];
}

function network(service: ComposeService, { services, networks }: Compose): readonly string[] {
  const words = wordsOf(service).join(' ');
  const named = [...words.matchAll(/https:\/\/([a-z]+):/g)].map(([, host]) => host ?? '');
  const isOpen = service.networks.some((name) => networks[name]?.internal !== true);
  return [
    ...service.ports
      .filter((port) => !port.startsWith('127.0.0.1:'))
      .map((port) => `port ${port} is everybody's`),
    ...(isOpen && service.ports.length === 0 ? ['a way out'] : []),
    ...(service.network_mode === undefined || service.network_mode === 'none'
      ? []
      : [`network ${service.network_mode}`]),
    ...named.filter((host) => services[host] === undefined).map((host) => `no service ${host}`),
  ];
}

function wordsOf(service: ComposeService): readonly string[] {
  const { entrypoint = [], command = [], environment, healthcheck } = service;
  return [...entrypoint, ...command, ...healthcheck.test, ...Object.values(environment)];
}

function volumes(
  name: string,
  {
    service,
    compose,
    rules,
  }: {
    readonly service: ComposeService;
    readonly compose: Compose;
    readonly rules: ComposeRules;
  },
): readonly string[] {
  const mounts = mountsOf(service);
  const paths = [
    ...wordsOf(service)
      .join(' ')
      .matchAll(/\/trial[\w/.-]*/g),
  ].map(([path]) => path);
  return [
    ...mounts.flatMap(({ volume, at, isReadOnly }) => {
      if (compose.volumes[volume] === undefined) return [`no volume ${volume}`];
      const isHolder = name === rules.filler || rules.holders[volume]?.includes(name);
      const isWriter = name === rules.filler || rules.writers[volume]?.includes(name);
      return [
        ...(isHolder === true ? [] : [`sees ${volume}`]),
        ...(isReadOnly || isWriter === true ? [] : [`may write to ${volume}`]),
        ...(rules.folders.includes(at) ? [] : [`the image has no ${at}`]),
      ];
    }),
    ...paths
      .filter((path) => path !== '/trial' || name !== rules.filler)
      .filter((path) => !mounts.some(({ at }) => `${path}/`.startsWith(`${at}/`)))
      .map((path) => `${path} is in no volume`),
  ];
}

function health({ healthcheck, depends_on }: ComposeService, { services }: Compose) {
  const { disable, test } = healthcheck;
  const isNode = test[0] === 'CMD' && test[1] === 'node';
  return [
    ...(disable || isNode ? [] : ['health check']),
    ...Object.entries(depends_on).flatMap(([name, { condition }]) => {
      const other = services[name];
      if (other === undefined) return [`no service ${name}`];
      const isHealthy = condition === 'service_healthy' && !other.healthcheck.disable;
      const isDone = condition === 'service_completed_successfully';
      return isHealthy || isDone ? [] : [`waits for ${name}: ${condition}`];
    }),
  ];
}
