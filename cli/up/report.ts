/**
 * What `veilgate up` says when it is ready: what was verified about each worker, where to ask, and two ready-made ways
 * to do it. For programs, the same as one line of JSON.
 * @module
 */

import { relative } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import { paint } from '../../core/node/terminal.ts';
import { describeVerdict } from '../../attestation/policy/explain.ts';
import type { Verdict } from '../../attestation/verdict.ts';
import { ton } from '../ton/money-text.ts';
import { VERSION } from '../version.ts';

export interface WorkerReport {
  readonly name: string;
  readonly workerId: string;
  readonly pid: number;
  readonly endpoint: string;
  /** Directory of what it has earned. */
  readonly earnings: string;
  readonly verdict: Verdict;
}

export interface UpReport {
  readonly baseUrl: string;
  readonly httpsUrl: string;
  readonly certificatePath: string;
  /** Of the gateway, as workers and owners name it: `gw1.…` */
  readonly aud: string;
  readonly apiKey: string;
  readonly model: string;
  readonly dataRoot: string;
  /** The sources of what was signed. */
  readonly policyPath: string;
  /** What gateways and clients read. */
  readonly publicationPath: string;
  /** What an app pins. */
  readonly rootPath: string;
  readonly revocationKeyPath: string;
  /** Metrics and the state of the policies, on this machine only. */
  readonly adminUrl: string;
  /** toncenter v2 JSON-RPC of the devnet. */
  readonly devnetUrl: string;
  /** `--dir` of the commands of a payer. */
  readonly payerDir: string;
  readonly channelFilePath: string;
  readonly channel: string;
  /** nanoTON. */
  readonly available: bigint;
  /** Where the ready-made script was saved; undefined when it could not find the package from there. */
  readonly scriptPath: string | undefined;
  readonly workers: readonly WorkerReport[];
}

const ID_SHOWN_CHARS = 16;

/** One line, no line break. */
export function reportJson(report: UpReport): string {
  const { baseUrl, httpsUrl, certificatePath, aud, apiKey, model, dataRoot } = report;
  return JSON.stringify({
    ready: true,
    baseUrl,
    httpsUrl,
    certificatePath,
    aud,
    apiKey,
    model,
    data: dataRoot,
    policy: report.policyPath,
    publication: report.publicationPath,
    root: report.rootPath,
    revocationKey: report.revocationKeyPath,
    admin: report.adminUrl,
    devnet: report.devnetUrl,
    payer: report.payerDir,
    channelFile: report.channelFilePath,
    channel: report.channel,
    available: report.available.toString(),
    simulated: report.workers.every(({ verdict }) => verdict.simulated),
    workers: report.workers.map(({ name, workerId, pid, endpoint, earnings, verdict }) => ({
      name,
      workerId,
      pid,
      endpoint,
      earnings,
      simulated: verdict.simulated,
      decision: verdict.decision,
      rule: verdict.rule,
      image: verdict.image,
      tcbStatus: verdict.tcbStatus,
      policyDigest: toHex(verdict.policy.digest),
      validUntilMs: verdict.validUntilMs,
      checks: verdict.checks.map(({ id, outcome }) => ({ id, outcome })),
    })),
  });
}

export type SnippetFact = 'baseUrl' | 'model' | 'rootPath' | 'channelFilePath';

/** Ready to paste: the OpenAI SDK, sealed under the policy of this data directory and paid from its channel. */
export function sdkSnippet(report: Pick<UpReport, SnippetFact>): string {
  return `import OpenAI from 'openai';
import { formatAmount, sealedFetch } from 'veilgate';

const ton = (nanoton) => \`\${formatAmount(nanoton, 'TON')} TON\`;
const fetch = sealedFetch({
  policy: { root: '${report.rootPath}' },
  pay: { channelFile: '${report.channelFilePath}' },
  onSettled: ({ amount, cum, n, receipt: { key, receipt } }) => {
    const { prompt, completion } = receipt.usage;
    process.stdout.write(
      \`\\n\\n\${prompt} tokens read at \${ton(key.prices.prompt)} a million,\\n\` +
        \`\${completion} written at \${ton(key.prices.completion)} a million: \${ton(amount)}.\\n\` +
        \`Settled as request \${n} of this channel, \${ton(cum)} in all.\\n\`,
    );
  },
});
const openai = new OpenAI({
  baseURL: '${report.baseUrl}',
  apiKey: 'the channel pays',
  fetch,
});
const stream = await openai.chat.completions.create({
  model: '${report.model}',
  messages: [{ role: 'user', content: 'What is remote attestation?' }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
await fetch.close();
`;
}

function curlLines({ baseUrl, apiKey, model }: UpReport): readonly string[] {
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'What is remote attestation?' }],
  });
  return [
    `curl ${baseUrl}/chat/completions \\`,
    `  -H 'authorization: Bearer ${apiKey}' -H 'content-type: application/json' \\`,
    `  -d '${body}'`,
  ];
}

function revokeLines({ workers, publicationPath, revocationKeyPath }: UpReport): readonly string[] {
  const [first] = workers;
  if (first === undefined) return [];
  return [
    `npx veilgate revoke add key ${first.workerId} --reason 'trying it out' \\`,
    `  --repo ${here(publicationPath)} --as ${here(revocationKeyPath)}`,
  ];
}

function moneyLines({ adminUrl, payerDir, devnetUrl, workers }: UpReport): readonly string[] {
  const [first] = workers;
  return [
    `npx veilgate settlements tail --url ${adminUrl}`,
    `npx veilgate channel status --dir ${here(payerDir)} --provider ${devnetUrl}`,
    ...(first === undefined ? [] : [`npx veilgate worker earnings --dir ${here(first.earnings)}`]),
  ];
}

function here(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}

function workerLines({ name, workerId, pid, endpoint, verdict }: WorkerReport): readonly string[] {
  return [
    `  ${paint('bold', name)}  ${workerId.slice(0, ID_SHOWN_CHARS)}…  process ${pid}  ${endpoint}`,
    ...describeVerdict(verdict).map((line) => `    ${line}`),
  ];
}

export function reportLines(report: UpReport): readonly string[] {
  const { workers, baseUrl, httpsUrl, aud, apiKey, model, scriptPath } = report;
  const indent = (line: string): string => `  ${line}`;
  const isSimulated = workers.some(({ verdict }) => verdict.simulated);
  return [
    `${paint('bold', `Veilgate ${VERSION}`)} is ready.${isSimulated ? paint('yellow', ' The TEEs are simulated: nothing here is protected.') : ''}`,
    '',
    `What was verified about each worker, under ${here(report.policyPath)}:`,
    ...workers.flatMap(workerLines),
    '',
    `  Endpoint  ${paint('green', baseUrl)}`,
    `            ${httpsUrl}  (curl --cacert ${here(report.certificatePath)})`,
    `  Identity  ${aud}`,
    `  API key   ${paint('green', apiKey)}`,
    `  Model     ${model}`,
    `  Admin     ${report.adminUrl}/policy  /settlement  /metrics, on this machine only`,
    `  Channel   ${report.channel.slice(0, ID_SHOWN_CHARS)}…  ${ton(report.available)} to spend, on a TON network of this machine`,
    '',
    paint(
      'bold',
      'Sealed, from the OpenAI SDK: readable here and in the enclave, nowhere between. Paid from the channel.',
    ),
    ...(scriptPath === undefined
      ? ['Save this in the folder of the clone as hello.mjs and run: npx node hello.mjs']
      : [`Saved for you; in another terminal: npx node ${here(scriptPath)}`]),
    '',
    ...sdkSnippet(report).trimEnd().split('\n').map(indent),
    '',
    paint(
      'bold',
      'Convenience mode: the gateway seals for you, so it can read it. Paid from the balance of the key.',
    ),
    '',
    ...curlLines(report).map(indent),
    '',
    paint('bold', 'Who pays whom:'),
    '',
    ...moneyLines(report).map(indent),
    '',
    paint('bold', 'Take a worker out, within a second:'),
    '',
    ...revokeLines(report).map(indent),
    '',
    `All state is in ${here(report.dataRoot)}. Ctrl-C stops.`,
  ];
}
