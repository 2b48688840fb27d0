/**
 * One frame of the live view: who was verified, what is asked, what it costs, what is wrong. A pure function of what has
 * happened and of the size of the screen.
 * @module
 */

import { formatInstant } from '../../core/clock.ts';
import type { Activity, RunningRequest } from './activity.ts';
import type { EndedRequest } from './events.ts';
import { costText, money, seconds, shortId } from './lines.ts';
import { clipped, fitted, folded, span, type Line } from './spans.ts';
import type { WorkerRow } from './worker-rows.ts';

export interface ScreenFacts {
  readonly baseUrl: string;
  readonly gatewayUrl: string;
  /** The token itself, or where it is kept. */
  readonly token: string;
  readonly payer: string;
}

export interface Frame {
  readonly columns: number;
  readonly rows: number;
  readonly nowMs: number;
  /** It was asked to end. */
  readonly isStopping: boolean;
}

const LABEL_COLUMNS = 10;
const REQUESTS_MIN = 4;
const FAULTS_MAX = 3;

/** As many lines as the screen has rows, none wider than it. */
export function screen(activity: Activity, facts: ScreenFacts, frame: Frame): readonly Line[] {
  const { columns, rows } = frame;
  const head = [...headLines(activity, facts, frame), BLANK];
  const foot = footLines(activity, frame);
  const faults = faultLines(activity, columns);
  const room = rows - head.length - foot.length - faults.length;
  const workers = workerLines(activity, columns, Math.max(1, room - REQUESTS_MIN - 1));
  const requests = requestLines(activity, frame, Math.max(0, room - workers.length - 1));
  const body = [...head, ...workers, BLANK, ...faults, ...requests];
  const filled = rows - foot.length - body.length;
  return [...body, ...Array.from({ length: Math.max(0, filled) }, () => BLANK), ...foot]
    .slice(0, rows)
    .map((line) => clipped(line, columns));
}

const BLANK: Line = [];

function headLines(activity: Activity, facts: ScreenFacts, { nowMs }: Frame): readonly Line[] {
  const { counts, running, refused, away } = activity;
  const up = duration(nowMs - activity.startedMs);
  const row = (label: string, ...rest: Line): Line => [
    span(label.padEnd(LABEL_COLUMNS), 'dim'),
    ...rest,
  ];
  return [
    [span('Veilgate proxy  ', 'bold'), span(facts.baseUrl, 'green'), span(`  up ${up}`, 'dim')],
    row(
      'Gateway',
      span(facts.gatewayUrl),
      away === undefined ? span('') : span(`  cannot be asked: ${away}`, 'red'),
    ),
    row('Token', span(facts.token)),
    row('Paying', span(facts.payer), span(spentText(activity), 'bold')),
    row(
      'Requests',
      span(`${counts.answered} answered · `),
      span(`${counts.failed} failed`, counts.failed > 0 ? 'red' : undefined),
      span(` · ${counts.left} left early · ${running.length} running`),
      ...(refused > 0 ? [span(` · ${refused} refused at the door`, 'yellow')] : []),
    ),
  ];
}

function spentText({ spent, channelTotal }: Activity): string {
  const run = [...spent].map(([asset, value]) => money(value, asset)).join(' and ');
  const text = ` · spent ${run === '' ? 'nothing' : run} in this run`;
  if (channelTotal === undefined) return text;
  return `${text}, ${money(channelTotal, 'TON')} over the channel’s life`;
}

function workerLines(activity: Activity, columns: number, room: number): readonly Line[] {
  const { workers, models } = activity;
  const simulated = workers.some((worker) => worker.simulated && worker.outcome === 'verified');
  const title: Line = [
    span('WORKERS', 'bold'),
    ...(simulated ? [span('  simulated machines: nothing here is protected', 'yellow')] : []),
  ];
  const unproven = models.filter(({ outcome }) => outcome === 'refused');
  const blocks: readonly (readonly Line[])[] = [
    ...workers.map((worker) => workerBlock(worker)),
    ...unproven.map(({ model, why = '' }) => [
      [span(`✘ nobody for ${fitted(model, 24).trimEnd()}  `, 'red'), span(why)],
    ]),
  ];
  if (blocks.length === 0) return [title, [span('looking at the gateway’s workers …', 'dim')]];
  const lines: Line[] = [title];
  for (const [index, block] of blocks.entries()) {
    const rest = blocks.length - index;
    // The last line that there is room for says what is not shown.
    if (rest > 1 && lines.length + block.length > room - 1) {
      lines.push([span(`  … and ${rest} more: GET /v1/verification`, 'dim')]);
      break;
    }
    lines.push(...block);
  }
  return lines.map((line) => clipped(line, columns));
}

function workerBlock(worker: WorkerRow): readonly Line[] {
  const { workerId, model, image, rule, outcome, simulated, checks, validUntilMs, why } = worker;
  const isVerified = outcome === 'verified';
  const subject = [model, image].filter((part) => part !== undefined && part !== '').join(' / ');
  const head: Line = [
    span(isVerified ? '✔ verified ' : `✘ ${outcome.padEnd(9)}`, isVerified ? 'green' : 'red'),
    ...(simulated ? [span('SIMULATED ', 'yellow')] : []),
    span(`${shortId(workerId)}  ${subject}`),
    ...(checks === '' ? [] : [span(`  ${checks}`)]),
    ...(validUntilMs > 0 ? [span(`  until ${timeOf(validUntilMs)}`, 'dim')] : []),
    ...(rule === undefined ? [] : [span(`  rule ${rule}`, 'dim')]),
  ];
  return why === undefined ? [head] : [head, [span(`  ${why}`, 'red')]];
}

function faultLines({ faults }: Activity, columns: number): readonly Line[] {
  if (faults.length === 0) return [];
  const lines = faults
    .slice(-FAULTS_MAX)
    .flatMap(({ faults: names, savedAs }): readonly Line[] => [
      [span(`a bill does not hold: ${names.join(', ')}; nothing is paid any more`, 'red')],
      ...(savedAs === undefined ? [] : [[span(`  evidence: ${savedAs}`)]]),
    ]);
  return [[span('FAULTS', 'red')], ...lines.map((line) => clipped(line, columns)), BLANK];
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly side: 'left' | 'right';
}

const COLUMNS = {
  n: { title: '#', width: 6, side: 'right' },
  time: { title: 'UTC', width: 8, side: 'left' },
  what: { title: 'what', width: 11, side: 'left' },
  model: { title: 'model', width: 18, side: 'left' },
  read: { title: 'read', width: 7, side: 'right' },
  written: { title: 'written', width: 7, side: 'right' },
  first: { title: 'first', width: 8, side: 'right' },
  total: { title: 'total', width: 8, side: 'right' },
  price: { title: 'price', width: 19, side: 'right' },
} as const satisfies Readonly<Record<string, Column>>;
type ColumnName = keyof typeof COLUMNS;
const ORDER = [
  'n',
  'time',
  'what',
  'model',
  'read',
  'written',
  'first',
  'total',
  'price',
] as const satisfies readonly ColumnName[];
/** What goes first where the screen is narrow. */
const DROPPED: readonly ColumnName[] = ['time', 'what', 'model', 'first'];
const STATE_COLUMNS = 12;

function shownColumns(columns: number): readonly ColumnName[] {
  let shown: readonly ColumnName[] = ORDER;
  const width = (): number => shown.reduce((sum, name) => sum + COLUMNS[name].width + 1, 0);
  for (const name of DROPPED) {
    if (width() + STATE_COLUMNS <= columns) break;
    shown = shown.filter((other) => other !== name);
  }
  return shown;
}

type Cells = Readonly<Record<ColumnName, string>>;

function cellsLine(cells: Cells, shown: readonly ColumnName[]): string {
  return shown
    .map((name) => {
      const { width, side } = COLUMNS[name];
      const text = fitted(cells[name], width).trimEnd();
      return `${side === 'left' ? text.padEnd(width) : text.padStart(width)} `;
    })
    .join('');
}

function requestLines(activity: Activity, frame: Frame, room: number): readonly Line[] {
  if (room <= 1) return [];
  const shown = shownColumns(frame.columns);
  const titles = Object.fromEntries(ORDER.map((name) => [name, COLUMNS[name].title] as const));
  const title = cellsLine({ ...EMPTY, ...titles }, shown);
  const running = activity.running.toReversed();
  const ended = activity.ended.toReversed();
  const lines: Line[] = [
    ...running.map((request) => runningLine(request, shown, frame.nowMs)),
    ...ended.map((request) => endedLine(request, shown)),
  ];
  if (lines.length === 0) return [[span(title, 'dim')], [span('       nothing asked yet', 'dim')]];
  return [[span(`${title}state`, 'dim')], ...lines.slice(0, room - 1)];
}

const EMPTY: Cells = {
  n: '',
  time: '',
  what: '',
  model: '',
  read: '',
  written: '',
  first: '',
  total: '',
  price: '',
};

function runningLine(
  { n, route, startedMs, firstMs, pieces }: RunningRequest,
  shown: readonly ColumnName[],
  nowMs: number,
): Line {
  const cells: Cells = {
    ...EMPTY,
    n: String(n),
    time: timeOf(startedMs),
    what: route,
    written: pieces > 0 ? `~${pieces}` : '',
    first: firstMs === undefined ? '' : seconds(firstMs),
    total: seconds(nowMs - startedMs),
  };
  return [span(cellsLine(cells, shown)), span('running', 'blue')];
}

const STATES = {
  answered: { colour: 'green' },
  failed: { colour: 'red' },
  left: { colour: 'yellow' },
} as const;

function endedLine(request: EndedRequest, shown: readonly ColumnName[]): Line {
  const { n, route, startedMs, outcome, status, code, model, tokens, firstMs, totalMs } = request;
  const cells: Cells = {
    n: String(n),
    time: timeOf(startedMs),
    what: route,
    model: model ?? '',
    read: tokens === undefined ? '' : String(tokens.read),
    written: tokens === undefined ? '' : String(tokens.written),
    first: firstMs === undefined ? '' : seconds(firstMs),
    total: seconds(totalMs),
    // What it cost up to there is on the worker's receipt, which nobody waited for.
    price: outcome === 'left' ? '?' : costText(request.cost),
  };
  const { colour } = STATES[outcome];
  const state = outcome === 'failed' ? `✘ ${code ?? status ?? 'failed'}` : outcome;
  return [span(cellsLine(cells, shown)), span(state, colour)];
}

/** After so many others a failure is no news. */
const ADVISED_MAX = 10;

/** The latest failure with what to do about it, and how to end. */
function footLines({ ended }: Activity, { columns, isStopping }: Frame): readonly Line[] {
  const end = isStopping
    ? span('Stopping: running answers may finish. Ctrl-C again cuts them.', 'yellow')
    : span('Ctrl-C ends; running answers may finish.', 'dim');
  const last = ended.slice(-ADVISED_MAX).findLast(({ advice }) => advice !== undefined);
  if (last === undefined) return [[end]];
  const text = `#${last.n} ${last.code}: ${last.advice}`;
  return [...folded(text, columns, '').map((line): Line => [span(line, 'yellow')]), [end]];
}

function timeOf(ms: number): string {
  return formatInstant(ms).slice(11, 19);
}

const S = 1000;
const MIN = 60 * S;
const HOUR = 60 * MIN;

function duration(ms: number): string {
  if (ms < MIN) return `${Math.floor(ms / S)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MIN)} min`;
  return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MIN)} min`;
}
