/**
 * The thread that owns a ledger's file. It commits a group, answers it, and takes the next one; while the disk is slow
 * nobody waits but those who asked. Entry point of a worker thread. Spec: ton-settlement §5.
 * @module
 */

import { parentPort, workerData } from 'node:worker_threads';
import { assert, VeilError } from '../../../core/errors.ts';
import type { Call, MethodName } from '../calls.ts';
import { OPERATIONS } from '../operations.ts';
import type { SignBytes, SignerSource } from '../signer.ts';
import { auditLedger } from './audit.ts';
import { LedgerDatabase } from './database.ts';
import type { Answer, Failure, FromThread, Reply, ThreadOptions, ToThread } from './messages.ts';
import { SqliteUnit } from './sqlite-unit.ts';

async function loadSigner({ url, data }: SignerSource): Promise<SignBytes> {
  const module: { readonly createSigner: (data: unknown) => SignBytes } = await import(url);
  return module.createSigner(data);
}

function perform<Name extends MethodName>(unit: SqliteUnit, call: Call<Name>): Answer<Name> {
  const { method, input } = call;
  return { method, output: OPERATIONS[method](unit, input) };
}

function answer(unit: SqliteUnit, call: Call): Reply {
  try {
    return unit.attempt(() => perform(unit, call));
  } catch (cause) {
    // One operation that cannot be carried out must not take its group with it; unless the file itself is at fault.
    if (cause instanceof VeilError && cause.code === 'ledger.store') throw cause;
    const detail = cause instanceof VeilError ? cause.message : 'unexpected';
    return { failure: { code: 'ledger.operation', detail, facts: {} } };
  }
}

function commitGroup(database: LedgerDatabase, unit: SqliteUnit, calls: readonly Call[]) {
  try {
    database.begin();
    const replies = calls.map((call) => answer(unit, call));
    unit.flush();
    database.commit();
    unit.settleDown();
    return replies;
  } catch (cause) {
    database.rollback();
    throw cause;
  }
}

function failureOf(cause: unknown): Failure {
  if (!(cause instanceof VeilError)) return { code: 'ledger.store', detail: '', facts: {} };
  const { code, facts } = cause;
  if (code === 'ledger.fenced' || code === 'ledger.inconsistent' || code === 'ledger.schema') {
    return { code, detail: cause.message.slice(code.length + 2), facts };
  }
  return { code: 'ledger.store', detail: cause.message, facts };
}

async function main(options: ThreadOptions): Promise<void> {
  const port = parentPort;
  assert(port !== null, 'runs as a thread');
  const say = (message: FromThread): void => port.postMessage(message);
  let database: LedgerDatabase | undefined;
  const stop = (last: FromThread): void => {
    database?.close();
    database = undefined;
    say(last);
    port.close();
  };
  try {
    const sign = await loadSigner(options.signer);
    const opened = new LedgerDatabase(options);
    database = opened;
    const unit = new SqliteUnit(opened, sign, {
      ...auditLedger(opened),
      rampCaps: options.rampCaps,
    });
    port.on('message', (message: ToThread) => {
      try {
        if (message.kind === 'close') stop({ kind: 'closed' });
        else say({ kind: 'done', replies: commitGroup(opened, unit, message.calls) });
      } catch (cause) {
        stop({ kind: 'broken', failure: failureOf(cause) });
      }
    });
    say({ kind: 'opened' });
  } catch (cause) {
    stop({ kind: 'broken', failure: failureOf(cause) });
  }
}

await main(workerData);
