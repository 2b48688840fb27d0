/** Other processes, busy hosts, hanging kernels and impatient callers at the report interface. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed, toHex, type Bytes } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { openConfigfsTsm } from '../../../enclave-worker/evidence/configfs-tsm.ts';
import type { EvidenceProvider } from '../../../enclave-worker/evidence/provider.ts';
import {
  COLLECT_ATTEMPTS_MAX,
  COLLECT_BACK_OFF_MAX_MS,
  COLLECT_WAITING_MAX,
} from '../../../enclave-worker/limits.ts';
import {
  fakeGuest,
  systemError,
  type FakeEntry,
  type FakeGuest,
} from '../../support/tsm/fake-kernel.ts';
import { snpReport } from '../../support/tsm/quotes.ts';

const REPORT_DATA: Bytes<64> = fixed(new Uint8Array(64).fill(1), 64);
const FOREIGN_DATA: Bytes<64> = fixed(new Uint8Array(64).fill(2), 64);
const SIGNAL = new AbortController().signal;
const COUNTER_MAX = 2n ** 64n - 1n;

interface Opened extends FakeGuest {
  readonly provider: EvidenceProvider;
}

/** An SNP guest, ready to collect: it takes all the steps there are. */
async function opened(): Promise<Opened> {
  const fake = fakeGuest((kernel) => {
    kernel.provider = 'sev_guest';
  });
  const provider = await openConfigfsTsm({ privlevel: 0 }, fake.guest, SIGNAL);
  fake.kernel.steps.length = 0;
  return { ...fake, provider };
}

function withCode(code: string): (error: unknown) => boolean {
  return (error) => hasCode(error, code);
}

/** Another process does something to our entry before a step, the first `times` times. */
function interfere(
  { kernel }: FakeGuest,
  at: string,
  act: (entry: FakeEntry) => void,
  times = 1,
): void {
  let left = times;
  kernel.before = (step, entry) => {
    if (step !== at || entry === undefined || left === 0) return;
    left--;
    act(entry);
  };
}

const OWN_STEPS = ['write privlevel', 'write inblob', 'read outblob', 'read auxblob'] as const;

test('a write of another process, at any point, costs an attempt and nothing else', async () => {
  for (const at of OWN_STEPS) {
    const fake = await opened();
    interfere(fake, at, (entry) => fake.kernel.touch(entry));
    const { quote } = await fake.provider.collect(REPORT_DATA);
    assert.equal(toHex(quote), toHex(snpReport(REPORT_DATA)));
    assert.equal(fake.waits.length, 1, at);
    assert.equal(fake.kernel.entries.size, 0);
  }
});

test('report data that another process puts in place of ours never comes back as ours', async () => {
  for (const at of ['read outblob', 'read auxblob', 'read generation']) {
    const fake = await opened();
    interfere(fake, at, (entry) => fake.kernel.setInblob(entry, FOREIGN_DATA), 3);
    const { quote } = await fake.provider.collect(REPORT_DATA);
    assert.equal(toHex(quote), toHex(snpReport(REPORT_DATA)), at);
  }
});

test('a level that another process puts in place of ours never comes back as ours', async () => {
  const fake = await opened();
  interfere(fake, 'write inblob', (entry) => {
    entry.privlevel = 3;
    fake.kernel.touch(entry);
  });
  const { quote } = await fake.provider.collect(REPORT_DATA);
  assert.equal(toHex(quote), toHex(snpReport(REPORT_DATA, 0)));
});

test('whenever another process changes the level, the report is of the level asked for', async () => {
  for (let at = 1; at <= 6; at++) {
    const fake = await opened();
    let reads = 0;
    fake.kernel.before = (step, entry) => {
      if (step !== 'read generation' || entry === undefined || ++reads !== at) return;
      entry.privlevel = 3;
      fake.kernel.touch(entry);
    };
    const { quote } = await fake.provider.collect(REPORT_DATA);
    assert.equal(toHex(quote), toHex(snpReport(REPORT_DATA, 0)), `read ${at} of the counter`);
  }
});

test('endless races end, after ever longer waits', async () => {
  const fake = await opened();
  interfere(fake, 'read outblob', (entry) => fake.kernel.touch(entry), Infinity);
  await assert.rejects(fake.provider.collect(REPORT_DATA), withCode('evidence.raced'));
  assert.equal(fake.waits.length, COLLECT_ATTEMPTS_MAX - 1);
  assert.equal(fake.kernel.steps.filter((step) => step === 'mkdir').length, COLLECT_ATTEMPTS_MAX);
  assert.equal(fake.kernel.entries.size, 0);
  fake.waits.forEach((ms, at) => {
    const full = Math.min(20 * 2 ** at, COLLECT_BACK_OFF_MAX_MS);
    assert.ok(ms >= full / 2 && ms <= full, `wait ${at} of ${ms} ms`);
  });
});

test('a blob that the kernel lost without a word is sent again', async () => {
  const fake = await opened();
  let losses = 2;
  fake.kernel.loses = () => losses-- > 0;
  const { quote } = await fake.provider.collect(REPORT_DATA);
  assert.equal(toHex(quote), toHex(snpReport(REPORT_DATA)));
  assert.equal(fake.waits.length, 2);
});

test('a kernel that loses every blob is not asked for a quote', async () => {
  const fake = await opened();
  fake.kernel.loses = () => true;
  await assert.rejects(fake.provider.collect(REPORT_DATA), withCode('evidence.busy'));
  assert.ok(!fake.kernel.steps.includes('read outblob'));
});

test('a busy kernel is asked again, and given up when it stays busy', async () => {
  for (const error of ['EBUSY', 'EAGAIN', 'EINTR']) {
    for (const at of ['mkdir', ...OWN_STEPS]) {
      const fake = await opened();
      let left = 3;
      fake.kernel.before = (step) => {
        if (step === at && left-- > 0) throw systemError(error);
      };
      await fake.provider.collect(REPORT_DATA);
      assert.equal(fake.waits.length, 3, `${at} ${error}`);
    }
  }
  const fake = await opened();
  fake.kernel.before = (step) => {
    if (step === 'read outblob') throw systemError('EBUSY');
  };
  await assert.rejects(fake.provider.collect(REPORT_DATA), withCode('evidence.busy'));
  assert.equal(fake.waits.length, COLLECT_ATTEMPTS_MAX - 1);
  assert.equal(fake.kernel.entries.size, 0);
});

test('an entry that somebody removed is made anew', async () => {
  for (const at of OWN_STEPS) {
    const fake = await opened();
    interfere(fake, at, () => fake.kernel.entries.clear());
    const { quote } = await fake.provider.collect(REPORT_DATA);
    assert.equal(toHex(quote), toHex(snpReport(REPORT_DATA)), at);
    assert.equal(fake.waits.length, 1, at);
  }
});

test('the counter may wrap around', async () => {
  for (const start of [COUNTER_MAX, COUNTER_MAX - 1n]) {
    const fake = await opened();
    fake.kernel.firstGeneration = start;
    await fake.provider.collect(REPORT_DATA);
    assert.deepEqual(fake.waits, []);
  }
});

test('an error at any step leaves no entry behind', async () => {
  const sound = await opened();
  await sound.provider.collect(REPORT_DATA);
  const steps = sound.kernel.steps.length;
  for (let failing = 0; failing < steps; failing++) {
    const fake = await opened();
    let at = 0;
    let name = '';
    fake.kernel.before = (step) => {
      if (at++ !== failing) return;
      name = step;
      throw systemError('EIO');
    };
    await assert.rejects(fake.provider.collect(REPORT_DATA), { name: 'VeilError' });
    // Where removing is what failed, there is nothing more to be done.
    assert.equal(fake.kernel.entries.size, name === 'rmdir' ? 1 : 0, name);
  }
});

test('an abort at any step ends the call, and leaves no entry behind', async () => {
  const sound = await opened();
  await sound.provider.collect(REPORT_DATA);
  const last = sound.kernel.steps.length - 1;
  for (let aborting = 0; aborting < last; aborting++) {
    const fake = await opened();
    const caller = new AbortController();
    let at = 0;
    const later: string[] = [];
    fake.kernel.before = (step) => {
      if (at > aborting) later.push(step);
      if (at++ === aborting) caller.abort();
    };
    await assert.rejects(
      fake.provider.collect(REPORT_DATA, caller.signal),
      withCode('evidence.aborted'),
    );
    // The caller was let go; the lane is free again only when the entry is gone.
    fake.kernel.before = () => undefined;
    await fake.provider.collect(REPORT_DATA);
    assert.equal(fake.kernel.entries.size, 0);
    assert.ok(
      later.every((step) => step === 'rmdir'),
      `after step ${aborting}: ${later.join(', ')}`,
    );
  }
});

test('an abort while waiting for another attempt ends the call', async () => {
  const fake = await opened();
  const caller = new AbortController();
  interfere(
    fake,
    'read outblob',
    (entry) => {
      fake.kernel.touch(entry);
      caller.abort();
    },
    Infinity,
  );
  await assert.rejects(
    fake.provider.collect(REPORT_DATA, caller.signal),
    withCode('evidence.aborted'),
  );
  assert.equal(fake.kernel.steps.filter((step) => step === 'mkdir').length, 1);
});

test('a call whose time is over says so', async () => {
  const fake = await opened();
  const late = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
  await assert.rejects(fake.provider.collect(REPORT_DATA, late), withCode('evidence.timeout'));
  assert.deepEqual(fake.kernel.steps, []);
});

test('a directory that cannot be removed at once is removed a little later', async () => {
  for (const outcome of ['quote', 'failure'] as const) {
    const fake = await opened();
    let left = 2;
    fake.kernel.before = (step) => {
      if (step === 'read outblob' && outcome === 'failure') throw systemError('EIO');
      if (step === 'rmdir' && left-- > 0) throw systemError('EBUSY');
    };
    const call = fake.provider.collect(REPORT_DATA);
    if (outcome === 'quote') assert.equal((await call).tee, 'snp');
    else await assert.rejects(call, withCode('evidence.host'));
    assert.equal(fake.kernel.entries.size, 0, outcome);
    assert.equal(fake.kernel.steps.filter((step) => step === 'mkdir').length, 1, outcome);
  }
});

test('a directory that cannot be removed is one, not one per attempt', async () => {
  const fake = await opened();
  fake.kernel.before = (step) => {
    if (step === 'rmdir') throw systemError('EBUSY');
  };
  await assert.rejects(fake.provider.collect(REPORT_DATA), withCode('evidence.unavailable'));
  assert.equal(fake.kernel.entries.size, 1);
});

test('the error that came first is the one that is told', async () => {
  const fake = await opened();
  fake.kernel.before = (step) => {
    if (step === 'read outblob') throw systemError('ETIMEDOUT');
    if (step === 'rmdir') throw systemError('EACCES');
  };
  await assert.rejects(fake.provider.collect(REPORT_DATA), withCode('evidence.host'));
});

test('calls at once are served one after another, in their order', async () => {
  const fake = await opened();
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: COLLECT_WAITING_MAX }, async (_, at) => {
      const wanted = fixed(new Uint8Array(64).fill(at), 64);
      const { quote } = await fake.provider.collect(wanted);
      assert.equal(toHex(quote), toHex(snpReport(wanted)));
      order.push(at);
    }),
  );
  assert.equal(fake.kernel.entriesMax, 1);
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
});

test('more calls than may wait are turned away', async () => {
  const fake = await opened();
  const { promise, resolve } = Promise.withResolvers<void>();
  fake.kernel.before = (step) => (step === 'mkdir' ? promise : undefined);
  const calls = Array.from({ length: COLLECT_WAITING_MAX + 1 }, () =>
    fake.provider.collect(REPORT_DATA),
  );
  const results = Promise.allSettled(calls);
  await assert.rejects(calls[COLLECT_WAITING_MAX] ?? Promise.resolve(), withCode('evidence.busy'));
  resolve();
  assert.equal(
    (await results).filter(({ status }) => status === 'fulfilled').length,
    COLLECT_WAITING_MAX,
  );
});

test('who stops waiting is let go at once, and others keep their turn', async () => {
  const fake = await opened();
  const { promise, resolve } = Promise.withResolvers<void>();
  fake.kernel.before = (step) => (step === 'mkdir' ? promise : undefined);
  const first = fake.provider.collect(REPORT_DATA);
  const caller = new AbortController();
  const second = fake.provider.collect(FOREIGN_DATA, caller.signal);
  const third = fake.provider.collect(FOREIGN_DATA);
  caller.abort();
  await assert.rejects(second, withCode('evidence.aborted'));
  resolve();
  assert.equal(toHex((await first).quote), toHex(snpReport(REPORT_DATA)));
  assert.equal(toHex((await third).quote), toHex(snpReport(FOREIGN_DATA)));
  assert.equal(fake.kernel.steps.filter((step) => step === 'mkdir').length, 2);
  assert.equal(fake.kernel.entriesMax, 1);
});

test('a kernel that hangs keeps the lane but not the caller, and the entry goes when it is back', async () => {
  const fake = await opened();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { promise: hanging, resolve: hangs } = Promise.withResolvers<void>();
  fake.kernel.before = (step) => {
    if (step !== 'read outblob') return undefined;
    hangs();
    return promise;
  };
  const caller = new AbortController();
  const call = fake.provider.collect(REPORT_DATA, caller.signal);
  await hanging;
  caller.abort();
  await assert.rejects(call, withCode('evidence.aborted'));
  assert.equal(fake.kernel.entries.size, 1);
  const next = fake.provider.collect(FOREIGN_DATA);
  assert.equal(fake.kernel.steps.filter((step) => step === 'mkdir').length, 1);
  fake.kernel.before = () => undefined;
  resolve();
  assert.equal(toHex((await next).quote), toHex(snpReport(FOREIGN_DATA)));
  assert.equal(fake.kernel.entries.size, 0);
  assert.equal(fake.kernel.entriesMax, 1);
});

test('opening obeys the signal too', async () => {
  const { guest, kernel } = fakeGuest();
  await assert.rejects(
    openConfigfsTsm({ privlevel: 0 }, guest, AbortSignal.abort()),
    withCode('evidence.aborted'),
  );
  assert.equal(kernel.entries.size, 0);
});
