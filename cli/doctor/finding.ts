/** One line of `veilgate doctor`: what was looked at, how it is, and what to do about it. @module */

export interface DoctorFinding {
  /** Stable, for programs: `machine.configfs-tsm`, `quote`, `policy`. */
  readonly id: string;
  /** `warning` keeps nobody out; `skipped` could not be looked at, and says why. */
  readonly outcome: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly detail: string;
  readonly remedy?: string;
}

export function ok(id: string, detail: string): DoctorFinding {
  return { id, outcome: 'ok', detail };
}

export function warning(id: string, detail: string, remedy: string): DoctorFinding {
  return { id, outcome: 'warning', detail, remedy };
}

export function problem(id: string, detail: string, remedy: string): DoctorFinding {
  return { id, outcome: 'problem', detail, remedy };
}

export function skipped(id: string, detail: string, remedy?: string): DoctorFinding {
  return { id, outcome: 'skipped', detail, ...(remedy === undefined ? {} : { remedy }) };
}
