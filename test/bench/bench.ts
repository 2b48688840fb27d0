/**
 * `npm run bench -- NAME [--json]`: runs one benchmark, or lists them. Numbers come with the raw primitives measured in
 * the same run, because a ratio travels between machines and a time does not.
 * @module
 */

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
  /** With what stands behind its name on the command line. */
  readonly run: (args: readonly string[]) => Promise<BenchResult> | BenchResult;
}

interface Entry {
  readonly name: string;
  /** Beside this file; exports `bench`. */
  readonly file: string;
}

/** Every benchmark. To add one: write its file, add its line here. Loaded when asked for, so that one costs one. */
const BENCHES: readonly Entry[] = [
  { name: 'tdx', file: 'tdx.ts' },
  { name: 'snp', file: 'snp.ts' },
  { name: 'sx', file: 'sx.ts' },
  { name: 'gateway', file: 'gateway.ts' },
  { name: 'up', file: 'up.ts' },
  { name: 'policy', file: 'policy.ts' },
  { name: 'ton', file: 'ton.ts' },
  { name: 'ledger', file: 'ledger.ts' },
  { name: 'client-package', file: 'client-package.ts' },
  { name: 'browser', file: 'browser.ts' },
  { name: 'e2e', file: 'e2e.ts' },
  { name: 'engine', file: 'engine.ts' },
  { name: 'grammar', file: 'grammar.ts' },
  { name: 'leakage', file: 'leakage.ts' },
  { name: 'peers', file: 'peers.ts' },
];

async function load({ file }: Entry): Promise<Bench> {
  const module: { readonly bench: Bench } = await import(new URL(file, import.meta.url).href);
  return module.bench;
}

async function main(args: readonly string[]): Promise<number> {
  const [name] = args.filter((arg) => !arg.startsWith('--'));
  if (name === undefined) {
    outputLine('usage: npm run bench -- NAME [--json]');
    for (const entry of BENCHES) {
      outputLine(`  ${entry.name.padEnd(14)} ${(await load(entry)).summary}`);
    }
    return 0;
  }
  const entry = BENCHES.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const names = BENCHES.map((candidate) => candidate.name).join(', ');
    outputLine(`there is no benchmark ${name}; there are ${names}`);
    return 2;
  }
  const bench = await load(entry);
  const loadedMiB = process.memoryUsage().rss / MIB;
  const { figures, lines } = await bench.run(args.filter((arg) => arg !== name));
  const memory = { loadedMiB, peakMiB: (process.resourceUsage().maxRSS * 1024) / MIB };
  if (args.includes('--json')) outputLine(JSON.stringify({ bench: name, ...figures, memory }));
  else for (const line of [...lines, memoryLine(memory)]) outputLine(line);
  return 0;
}

const MIB = 1_048_576;

function memoryLine({ loadedMiB, peakMiB }: { loadedMiB: number; peakMiB: number }): string {
  return `memory of this process: ${loadedMiB.toFixed(0)} MiB loaded, ${peakMiB.toFixed(0)} MiB at its peak`;
}

process.exitCode = await main(process.argv.slice(2));
