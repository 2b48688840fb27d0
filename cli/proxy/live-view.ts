/**
 * The live view on a terminal: a second screen that is written over in place, whole frames in one write each, so that nothing
 * flickers and nothing is left behind when it ends. Spec: xterm control sequences (DECSET 25, 1049, 2026; CUP, EL, ED).
 * @module
 */

import type { Clock } from '../../core/clock.ts';
import type { Activity } from './activity.ts';
import { FRAME_EVERY_MS, TICK_EVERY_MS } from './limits.ts';
import { screen, type ScreenFacts } from './screen.ts';
import { painted } from './spans.ts';

/** As much of a terminal as is drawn on. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

export interface LiveView {
  /** Shows that the end was asked for. */
  stopping(): void;
  /** Gives the terminal back as it was. Once; more is nothing. */
  end(): void;
}

const ESC = '\u001B[';
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}2J`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
/** Terminals that know it show the frame at once; others ignore it. */
const FRAME_BEGINS = `${ESC}?2026h`;
const FRAME_ENDS = `${ESC}?2026l`;
const HOME = `${ESC}H`;
const CLEAR_LINE_REST = `${ESC}K`;
const CLEAR_BELOW = `${ESC}J`;
const COLUMNS_MIN = 20;
const ROWS_MIN = 4;

export function startLiveView(
  terminal: Terminal,
  activity: Activity,
  facts: ScreenFacts,
  clock: Clock,
): LiveView {
  let drawn = '';
  let isStopping = false;
  let due: NodeJS.Timeout | undefined;
  let isOver = false;
  const draw = (): void => {
    due = undefined;
    if (isOver) return;
    const { columns, rows } = terminal;
    // The last column stays free: what clears the rest of a line would take a sign that stands there.
    const size = { columns: Math.max(columns - 1, COLUMNS_MIN), rows: Math.max(rows, ROWS_MIN) };
    const lines = screen(activity, facts, { ...size, nowMs: clock(), isStopping });
    const text = lines.map((line) => painted(line) + CLEAR_LINE_REST).join('\r\n');
    if (text === drawn) return;
    drawn = text;
    terminal.write(`${FRAME_BEGINS}${HOME}${text}${CLEAR_BELOW}${FRAME_ENDS}`);
  };
  /** However much happens, so many frames at most. */
  const soon = (): void => {
    due ??= setTimeout(draw, FRAME_EVERY_MS).unref();
  };
  const afresh = (): void => {
    drawn = '';
    terminal.write(`${ESC}2J`);
    draw();
  };
  /** Stopped by Ctrl-Z, the shell had the screen meanwhile. */
  const back = (): void => {
    terminal.write(ENTER);
    afresh();
  };
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(due);
    clearInterval(tick);
    terminal.off('resize', afresh);
    process.off('SIGCONT', back);
    process.off('exit', end);
    terminal.write(LEAVE);
  };
  const tick = setInterval(draw, TICK_EVERY_MS).unref();
  activity.onEvent(soon);
  terminal.on('resize', afresh);
  process.on('SIGCONT', back);
  // Also for a second Ctrl-C, and for a bug: a hidden cursor is no way to leave.
  process.on('exit', end);
  terminal.write(ENTER);
  draw();
  return {
    stopping: () => {
      isStopping = true;
      soon();
    },
    end,
  };
}
