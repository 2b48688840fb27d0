/**
 * Reads a systemd unit and holds it to the rules of docs/deploy.md, together with the configuration that it starts with.
 * Spec: systemd.syntax(7), systemd.exec(5), systemd.service(5). @module
 */

import { existsSync } from 'node:fs';

/** Of each setting all values, in their order. */
export type Unit = ReadonlyMap<string, readonly string[]>;

export function parseUnit(text: string): Unit {
  const settings = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    if (/^\s*([#;[]|$)/.test(line)) continue;
    const at = line.indexOf('=');
    if (at <= 0 || line.endsWith('\\')) throw new Error(`no setting: ${line}`);
    const name = line.slice(0, at);
    settings.set(name, [...(settings.get(name) ?? []), line.slice(at + 1)]);
  }
  return settings;
}

/** Where the code lies; the paths below it are those of the repository. */
const INSTALLED = '/opt/veilgate/';
const NODE = `${INSTALLED}node_modules/.bin/node`;

/** What every unit says, word for word. */
const SANDBOX: Readonly<Record<string, string>> = {
  Type: 'exec',
  WorkingDirectory: '/opt/veilgate',
  UMask: '0077',
  NoNewPrivileges: 'yes',
  ProtectSystem: 'strict',
  ProtectHome: 'yes',
  ProtectProc: 'invisible',
  ProtectClock: 'yes',
  ProtectControlGroups: 'yes',
  ProtectHostname: 'yes',
  ProtectKernelLogs: 'yes',
  ProtectKernelModules: 'yes',
  PrivateTmp: 'yes',
  PrivateDevices: 'yes',
  RestrictNamespaces: 'yes',
  RestrictRealtime: 'yes',
  RestrictSUIDSGID: 'yes',
  LockPersonality: 'yes',
  KeyringMode: 'private',
  RemoveIPC: 'yes',
  SystemCallArchitectures: 'native',
  SystemCallErrorNumber: 'EPERM',
  LimitCORE: '0',
  Restart: 'on-failure',
};

export interface UnitRules {
  readonly name: string;
  /** Beyond what all have; `null`: must not be set. */
  readonly also: Readonly<Record<string, string | null>>;
  readonly capabilities: string;
  readonly families: string;
  readonly sysusers: string;
  /** Absolute paths of the configuration it starts with. */
  readonly configured: readonly string[];
  /** How long the program may take to end, by its configuration. */
  readonly graceMs: number;
}

export function unitProblems(text: string, rules: UnitRules): readonly string[] {
  const unit = parseUnit(text);
  const one = (setting: string): string => (unit.get(setting) ?? []).join(' ');
  const wanted: Readonly<Record<string, string | null>> = {
    ...SANDBOX,
    ...rules.also,
    // V8 compiles while it runs; locks read /proc/sys.
    MemoryDenyWriteExecute: null,
    ProcSubset: null,
    CapabilityBoundingSet: rules.capabilities,
    AmbientCapabilities: rules.capabilities,
    RestrictAddressFamilies: rules.families,
    User: rules.name,
    Group: rules.name,
    StateDirectory: rules.name,
  };
  return [
    ...Object.entries(wanted)
      .filter(([name, value]) => (value === null ? unit.has(name) : one(name) !== value))
      .map(([name]) => `${name}=${one(name)}`),
    ...(/^@system-service ~@privileged( @resources)?$/.test(one('SystemCallFilter'))
      ? []
      : [`SystemCallFilter=${one('SystemCallFilter')}`]),
    ...(new RegExp(`^u ${rules.name}\\s`, 'm').test(rules.sysusers)
      ? []
      : [`no user ${one('User')}`]),
    ...(Number(one('TimeoutStopSec')) * 1000 > rules.graceMs
      ? []
      : ['it is killed while it drains']),
    ...programProblems(one('ExecStart')),
    ...pathProblems(rules, one('ExecStart')),
  ];
}

function programProblems(command: string): readonly string[] {
  const [node = '', script = ''] = command.split(' ');
  return [
    ...(node === NODE ? [] : [`runs ${node}`]),
    ...(existsSync(script) && !script.startsWith('/') ? [] : [`no program ${script}`]),
  ];
}

/** What it reads is configuration; what it writes is its state, or memory. */
function pathProblems({ name, configured }: UnitRules, command: string): readonly string[] {
  const allowed = [`/var/lib/${name}`, '/etc/veilgate', '/dev/shm'];
  const words = command.split(' ').slice(2);
  return [...words.filter((word) => word.startsWith('/')), ...configured]
    .filter((path) => !allowed.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    .map((path) => `${path} is out of its reach`);
}
