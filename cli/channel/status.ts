/**
 * `veilgate channel status`: what the chain says beside what the gateway says. What differs is named: a moment's delay
 * looks the same as a lie at first, and only one of the two goes away.
 * @module
 */

import { paint, printable, terminalColumns } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { NOTHING } from '../../settlement/money.ts';
import { shownAddress } from '../../settlement/ton/address-text.ts';
import { readPayerChannel, type LiveChannel } from '../../settlement/ton/payer/payer-channel.ts';
import { signPass } from '../../settlement/pass.ts';
import type { Token } from '../../settlement/token.ts';
import { signVoucher } from '../../settlement/voucher.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import {
  instant,
  remaining,
  rowLines,
  ton,
  tonColumn,
  wrapped,
  type Row,
} from '../ton/money-text.ts';
import { channelKey, type KeptChannel } from './channel-files.ts';
import { withChannel, type Around, type ChannelOptions } from './around.ts';
import { openGateway, type GatewayChannel } from './gateway.ts';

/** As long as a question takes, and clocks differ. */
const PASS_LIFETIME_MS = 600_000;

export async function runChannelStatus(options: ChannelOptions, io: MoneyIo): Promise<Answer> {
  return await withChannel(options, io, async (around) => {
    const { kept, chain } = around;
    const onChain = await readPayerChannel(chain, kept.channel, { signal: io.signal });
    if (onChain.kind === 'absent') return notThere(around);
    const gateway = await askGateway(around, { live: onChain, options, io });
    const differences = differencesOf(onChain, gateway);
    return {
      json: jsonOf(around, { live: onChain, gateway, differences }),
      lines: linesOf(around, { live: onChain, gateway, differences }),
      isTroubled: differences.length > 0,
    };
  });
}

type Said =
  | { readonly kind: 'state'; readonly state: GatewayChannel }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'silent'; readonly code: string };

interface Asking {
  readonly live: LiveChannel;
  readonly options: ChannelOptions;
  readonly io: MoneyIo;
}

async function askGateway({ kept }: Around, { live, options, io }: Asking): Promise<Said> {
  const gateway = openGateway(kept.file.url, options, io);
  try {
    const state = await gateway.channel(kept.channel.id, nameOf(kept, live, io.now()));
    return state === undefined ? { kind: 'unknown' } : { kind: 'state', state };
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return { kind: 'silent', code: error.code };
  } finally {
    await gateway.end();
  }
}

/** A voucher for nothing and a pass say who asks. Whoever has no key to sign it is shown what everybody is. */
function nameOf(kept: KeptChannel, { state }: LiveChannel, nowMs: number): Token | undefined {
  try {
    const { id: channel } = kept.channel;
    const secretKey = channelKey(kept);
    const voucher = signVoucher(secretKey, { channel, epoch: state.epoch, ceiling: NOTHING });
    const notAfterMs = nowMs + PASS_LIFETIME_MS;
    return { voucher, pass: signPass(secretKey, channel, [{ kind: 'expiry', notAfterMs }]) };
  } catch (error) {
    if (error instanceof VeilError) return undefined;
    throw error;
  }
}

function notThere({ kept }: Around): Answer {
  return {
    json: { channel: toHex(kept.channel.id), status: 'absent' },
    lines: [
      'Nothing has arrived at this channel yet. "veilgate channel open" again goes on with it.',
    ],
    isTroubled: true,
  };
}

const COUNTERS = ['deposited', 'claimed', 'refunded', 'withdrawing'] as const;

/** Sentences. None: the two agree. */
export function differencesOf({ state, available }: LiveChannel, said: Said): readonly string[] {
  if (said.kind === 'silent') return [`The gateway does not answer (${said.code}).`];
  if (said.kind === 'unknown') {
    return ['The gateway does not know this channel: "veilgate channel open" again tells it.'];
  }
  const told = said.state;
  const found: string[] = [];
  if (told.epoch !== BigInt(state.epoch)) {
    found.push(`epoch: the gateway is at ${told.epoch}, the chain at ${state.epoch}.`);
  }
  for (const name of COUNTERS) {
    if (told[name] === state[name]) continue;
    found.push(`${name}: the gateway says ${ton(told[name])}, the chain ${ton(state[name])}.`);
  }
  const { charged = 0n, ceiling = charged } = told;
  if (charged > ceiling) {
    found.push(`charged: ${ton(charged)} is more than ${ton(ceiling)}, the most that was signed.`);
  }
  if (told.epoch === BigInt(state.epoch) && charged > state.claimed + available) {
    found.push('charged: more than the channel ever held.');
  }
  return found;
}

interface Seen {
  readonly live: LiveChannel;
  readonly gateway: Said;
  readonly differences: readonly string[];
}

function jsonOf({ kept, network }: Around, { live, gateway, differences }: Seen): JsonObject {
  const { state } = live;
  return {
    channel: toHex(kept.channel.id),
    address: kept.channel.address.toRawString(),
    network: network.name,
    gatewayId: kept.file.gateway,
    file: kept.path,
    chain: {
      status: state.status,
      epoch: state.epoch,
      deposited: state.deposited.toString(),
      claimed: state.claimed.toString(),
      refunded: state.refunded.toString(),
      withdrawing: state.withdrawing.toString(),
      available: live.available.toString(),
      unlockAt: state.status === 'closing' ? state.unlockAt : null,
      balance: live.balanceNanoton.toString(),
      seqno: live.seqno,
      agreedBy: live.agreedBy,
    },
    gateway:
      gateway.kind === 'state'
        ? Object.fromEntries(
            Object.entries(gateway.state).map(([name, value]) => [name, String(value)]),
          )
        : null,
    differences,
  };
}

function linesOf(around: Around, seen: Seen): readonly string[] {
  const { kept, network } = around;
  const { live, differences } = seen;
  const columns = terminalColumns();
  const head: readonly Row[] = [
    ['channel', toHex(kept.channel.id)],
    ['address', shownAddress(kept.channel.address, network, 'contract')],
    ['network', network.name],
    ['gateway', kept.file.gateway],
    ['at', printable(kept.file.url)],
    ['said by', live.agreedBy.join(', '), 'about the chain'],
  ];
  const notes = differences.flatMap((text) =>
    wrapped(text, columns - 2).map((line, at) =>
      paint('yellow', `${at === 0 ? '! ' : '  '}${line}`),
    ),
  );
  return [
    ...rowLines(head, columns),
    '',
    ...tableLines(seen),
    ...closingLines(live),
    ...(notes.length === 0 ? [] : ['', ...notes]),
  ];
}

/** Names left, numbers to the right, each under the one whose word it is. */
function tableLines({ live, gateway }: Seen): readonly string[] {
  const { state, available } = live;
  const told = gateway.kind === 'state' ? gateway.state : undefined;
  const shown = [available, ...COUNTERS.map((name) => state[name])];
  const text = tonColumn(told === undefined ? shown : [...shown, ...amountsOf(told)]);
  const both = (name: string, mine: bigint, its: bigint | undefined): TableRow => ({
    cells: [name, text(mine), its === undefined ? '' : text(its)],
    differs: its !== undefined && its !== mine,
  });
  const onlyIts = (name: string, its: bigint | undefined): readonly TableRow[] =>
    its === undefined ? [] : [{ cells: [name, '', text(its)], differs: false }];
  const rows: readonly TableRow[] = [
    { cells: ['', 'chain', told === undefined ? '' : 'gateway'], differs: false },
    { cells: ['status', state.status, ''], differs: false },
    {
      cells: ['epoch', String(state.epoch), told === undefined ? '' : String(told.epoch)],
      differs: told !== undefined && told.epoch !== BigInt(state.epoch),
    },
    ...COUNTERS.map((name) => both(name, state[name], told?.[name])),
    { cells: ['available', text(available), ''], differs: false },
    ...onlyIts('ceiling', told?.ceiling),
    ...onlyIts('charged', told?.charged),
    ...onlyIts('reserved', told?.reserved),
    ...(told?.n === undefined
      ? []
      : [{ cells: ['settlements', '', `${told.n}`], differs: false } as const]),
  ];
  return aligned(rows);
}

function amountsOf(told: GatewayChannel): readonly bigint[] {
  return ([...COUNTERS, 'ceiling', 'charged', 'reserved'] as const).map((name) => told[name] ?? 0n);
}

interface TableRow {
  readonly cells: readonly [string, string, string];
  readonly differs: boolean;
}

function aligned(rows: readonly TableRow[]): readonly string[] {
  const width = (at: 0 | 1 | 2): number => Math.max(...rows.map(({ cells }) => cells[at].length));
  const [names, mine, its] = [width(0), width(1), width(2)];
  return rows.map(({ cells: [name, left, right], differs }) => {
    const text = `${name.padEnd(names)}  ${left.padStart(mine)}  ${right.padStart(its)}`.trimEnd();
    return differs ? paint('yellow', `${text}  !`) : text;
  });
}

function closingLines({ state, timeS }: LiveChannel): readonly string[] {
  if (state.status !== 'closing') return [];
  const { unlockAt } = state;
  if (timeS >= unlockAt) {
    return [
      '',
      paint('green', 'The withdraw can be finished: "veilgate channel withdraw --finish".'),
    ];
  }
  return [
    '',
    `The withdraw can be finished at ${instant(unlockAt)}, in ${remaining(unlockAt - timeS)}.`,
  ];
}
