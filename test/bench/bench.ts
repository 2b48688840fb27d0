/**
 * `npm run bench -- NAME [--json]`: runs one benchmark, or lists them. Numbers come with the raw primitives measured in
 * the same run, because a ratio travels between machines and a time does not.
 * @module
 */

import { existsSync } from 'node:fs';
import { outputLine } from '../../core/node/terminal.ts';

export interface BenchResult {
  /** Plain data, printed with --json. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** For people. */
  readonly lines: readonly string[];
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  readonly run: () => Promise<BenchResult> | BenchResult;
}

interface Entry {
  readonly name: string;
  /** Beside this file; exports `bench`. */
  readonly file: string;
}

/** Every benchmark. To add one: write its file, add its line here. Loaded when asked for, so that one costs one. */
const BENCHES: readonly Entry[] = [
  { name: 'tdx', file: 'tdx.ts' },
  { name: 'sx', file: 'sx.ts' },
  { name: 'gateway', file: 'gateway.ts' },
];

async function load({ file }: Entry): Promise<Bench> {
  const module: { readonly bench: Bench } = await import(new URL(file, import.meta.url).href);
  return module.bench;
}

async function main(args: readonly string[]): Promise<number> {
  const [name] = args.filter((arg) => !arg.startsWith('--'));
  if (name === undefined) {
    outputLine('usage: npm run bench -- NAME [--json]');
    for (const entry of BENCHES) outputLine(`  ${entry.name.padEnd(10)} ${await summaryOf(entry)}`);
    return 0;
  }
  const entry = BENCHES.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const names = BENCHES.map((candidate) => candidate.name).join(', ');
    outputLine(`there is no benchmark ${name}; there are ${names}`);
    return 2;
  }
  if (!isBuilt(entry)) {
    outputLine(`the benchmark ${name} is not part of this checkout (test/bench/${entry.file})`);
    return 1;
  }
  const { figures, lines } = await (await load(entry)).run();
  if (args.includes('--json')) outputLine(JSON.stringify({ bench: name, ...figures }));
  else for (const line of lines) outputLine(line);
  return 0;
}

function isBuilt({ file }: Entry): boolean {
  return existsSync(new URL(file, import.meta.url));
}

async function summaryOf(entry: Entry): Promise<string> {
  if (!isBuilt(entry)) return '(not part of this checkout)';
  return (await load(entry)).summary;
}

process.exitCode = await main(process.argv.slice(2));
