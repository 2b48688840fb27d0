/**
 * TCB evaluation end to end: the convergence table cell by cell, the relaunch rules, and the traps. Spec: tdx.md §4.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  TCB_STATUSES,
  type TcbStatus,
  type TdxStatus,
  type TdxTcb,
} from '../../../attestation/tdx/tcb.ts';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import type {
  IsvLevel,
  PlatformLevel,
} from '../../../enclave-worker/evidence/simulator/documents.ts';
import {
  buildCase,
  filled,
  QE_IDENTITY,
  svn,
  TCB_INFO,
  type Faults,
} from '../../support/tdx/case.ts';
import { createTestPki, PLATFORM_COMPONENTS } from '../../support/tdx/pki.ts';

const pki = await createTestPki();

async function evaluate(faults: Faults): Promise<TdxTcb> {
  const result = verifyTdx(
    await buildCase(pki, {
      ...faults,
      policy: { acceptedTcbStatuses: TCB_STATUSES, ...faults.policy },
    }),
  );
  const failed = result.checks.filter(
    ({ id, outcome }) => outcome === 'fail' && !id.startsWith('policy.'),
  );
  assert.deepEqual(failed, []);
  assert.ok(result.tcb !== undefined);
  return result.tcb;
}

const [TOP] = TCB_INFO.levels;
assert.ok(TOP !== undefined);
const top: PlatformLevel = TOP;

function platform(tcbStatus: TcbStatus): readonly PlatformLevel[] {
  return [{ ...top, tcbStatus }];
}

type PartStatus = 'UpToDate' | 'OutOfDate' | 'Revoked';

function moduleLevels(tcbStatus: PartStatus): typeof TCB_INFO.modules {
  return [
    {
      id: 'TDX_01',
      mrSigner: new Uint8Array(48),
      levels: [{ isvSvn: 1, tcbStatus, tcbDay: '2025-11-12' }],
    },
  ];
}

function qeLevels(tcbStatus: PartStatus): readonly IsvLevel[] {
  return [{ isvSvn: 1, tcbStatus, tcbDay: '2025-11-12' }];
}

/** As the table stands in the specification: platform, then the outcome for each state of the other parts. */
const CONVERGENCE: readonly (readonly [TcbStatus, TcbStatus, TcbStatus, TcbStatus])[] = [
  ['UpToDate', 'UpToDate', 'OutOfDate', 'Revoked'],
  ['SWHardeningNeeded', 'SWHardeningNeeded', 'OutOfDate', 'Revoked'],
  ['ConfigurationNeeded', 'ConfigurationNeeded', 'OutOfDateConfigurationNeeded', 'Revoked'],
  [
    'ConfigurationAndSWHardeningNeeded',
    'ConfigurationAndSWHardeningNeeded',
    'OutOfDateConfigurationNeeded',
    'Revoked',
  ],
  ['OutOfDate', 'OutOfDate', 'OutOfDate', 'Revoked'],
  [
    'OutOfDateConfigurationNeeded',
    'OutOfDateConfigurationNeeded',
    'OutOfDateConfigurationNeeded',
    'Revoked',
  ],
  ['Revoked', 'Revoked', 'Revoked', 'Revoked'],
];

const OTHERS: readonly PartStatus[] = ['UpToDate', 'OutOfDate', 'Revoked'];

describe('platform, module and quoting enclave converge', () => {
  for (const [status, ...row] of CONVERGENCE) {
    for (const [at, want] of row.entries()) {
      const other = OTHERS[at] ?? 'UpToDate';
      test(`platform ${status}, module ${other}: ${want}`, async () => {
        const tcb = await evaluate({
          collateral: { tcbInfoInput: { levels: platform(status), modules: moduleLevels(other) } },
        });
        assert.equal(tcb.status, want);
      });
      test(`platform ${status}, quoting enclave ${other}: ${want}`, async () => {
        const tcb = await evaluate({
          collateral: {
            tcbInfoInput: { levels: platform(status) },
            qeIdentityInput: { levels: qeLevels(other) },
          },
        });
        assert.equal(tcb.status, want);
      });
    }
  }

  for (const [module, qe, want] of [
    ['OutOfDate', 'OutOfDate', 'OutOfDate'],
    ['OutOfDate', 'Revoked', 'Revoked'],
    ['Revoked', 'OutOfDate', 'Revoked'],
  ] as const) {
    test(`platform UpToDate, module ${module}, quoting enclave ${qe}: ${want}`, async () => {
      const tcb = await evaluate({
        collateral: {
          tcbInfoInput: { levels: platform('UpToDate'), modules: moduleLevels(module) },
          qeIdentityInput: { levels: qeLevels(qe) },
        },
      });
      assert.equal(tcb.status, want);
    });
  }
});

/** One level per module SVN 1 to 7, so that a status can be chosen for launch and now by SVN alone. */
const PLATFORM_BY_LOADER: readonly PlatformLevel[] = TCB_STATUSES.map((tcbStatus, at) => ({
  ...top,
  tdx: top.tdx.map((value, i) => (i === 2 ? 10 - at : value)),
  tcbStatus,
}));

function loader(status: TcbStatus | 'NotSupported'): number {
  return status === 'NotSupported' ? 1 : 10 - TCB_STATUSES.indexOf(status);
}

/** Launch status, status now, outcome. */
const RELAUNCH: readonly (readonly [
  TcbStatus | 'NotSupported',
  TcbStatus | 'NotSupported',
  TdxStatus,
])[] = [
  ['OutOfDate', 'UpToDate', 'TDRelaunchAdvised'],
  ['OutOfDate', 'SWHardeningNeeded', 'TDRelaunchAdvised'],
  ['OutOfDate', 'ConfigurationNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
  ['OutOfDate', 'ConfigurationAndSWHardeningNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
  ['OutOfDateConfigurationNeeded', 'UpToDate', 'TDRelaunchAdvisedConfigurationNeeded'],
  ['OutOfDateConfigurationNeeded', 'SWHardeningNeeded', 'TDRelaunchAdvisedConfigurationNeeded'],
  ['OutOfDate', 'OutOfDate', 'OutOfDate'],
  ['OutOfDate', 'OutOfDateConfigurationNeeded', 'OutOfDate'],
  ['OutOfDate', 'Revoked', 'OutOfDate'],
  ['UpToDate', 'OutOfDate', 'UpToDate'],
  ['UpToDate', 'Revoked', 'UpToDate'],
  ['ConfigurationNeeded', 'UpToDate', 'ConfigurationNeeded'],
  ['SWHardeningNeeded', 'UpToDate', 'SWHardeningNeeded'],
  ['Revoked', 'UpToDate', 'Revoked'],
  ['NotSupported', 'UpToDate', 'NotSupported'],
  ['UpToDate', 'NotSupported', 'NotSupported'],
  ['OutOfDate', 'NotSupported', 'NotSupported'],
];

describe('launch and current status', () => {
  for (const [launch, current, want] of RELAUNCH) {
    for (const body of [3, 4] as const) {
      test(`launched ${launch}, now ${current}: ${want} (body type ${body})`, async () => {
        const tcb = await evaluate({
          quote: {
            version: 5,
            body,
            td: {
              teeTcbSvn: svn(5, 1, loader(launch)),
              v15: { teeTcbSvn2: svn(5, 1, loader(current)), mrServiceTd: filled(48, 0) },
            },
          },
          collateral: { tcbInfoInput: { levels: PLATFORM_BY_LOADER } },
        });
        assert.equal(tcb.launch.status, launch);
        assert.equal(tcb.current.status, current);
        assert.equal(tcb.status, want);
      });
    }
  }

  for (const [launch, current] of RELAUNCH) {
    test(`a policy for UpToDate alone refuses launched ${launch}, now ${current}`, async () => {
      const evidence = await buildCase(pki, {
        quote: {
          version: 5,
          body: 3,
          td: {
            teeTcbSvn: svn(5, 1, loader(launch)),
            v15: { teeTcbSvn2: svn(5, 1, loader(current)), mrServiceTd: filled(48, 0) },
          },
        },
        collateral: { tcbInfoInput: { levels: PLATFORM_BY_LOADER } },
      });
      assert.equal(verifyTdx(evidence).accepted, false);
    });
  }
});

describe('traps', () => {
  test('a PCESVN above 127 is a two-byte INTEGER and compares as a number', async () => {
    const levels = [{ ...top, pceSvn: 200 }];
    const faults = (pceSvn: number): Faults => ({
      certificates: { facts: { pceSvn } },
      collateral: { tcbInfoInput: { levels } },
    });
    assert.equal((await evaluate(faults(128))).status, 'NotSupported');
    assert.equal((await evaluate(faults(200))).status, 'UpToDate');
    assert.equal((await evaluate(faults(65535))).status, 'UpToDate');
  });

  test('the order of the levels in the document means nothing', async () => {
    const tcb = await evaluate({
      collateral: {
        tcbInfoInput: {
          levels: TCB_INFO.levels.toReversed(),
          modules: TCB_INFO.modules.map((known) => ({
            ...known,
            levels: known.levels.toReversed(),
          })),
        },
        qeIdentityInput: { levels: QE_IDENTITY.levels.toReversed() },
      },
    });
    assert.equal(tcb.status, 'UpToDate');
  });

  test('levels that differ in PCESVN alone are ordered by it', async () => {
    const levels = [
      { ...top, pceSvn: 5, tcbStatus: 'Revoked' },
      { ...top, pceSvn: 13, tcbStatus: 'UpToDate' },
    ] satisfies readonly PlatformLevel[];
    const tcb = await evaluate({ collateral: { tcbInfoInput: { levels } } });
    assert.equal(tcb.status, 'UpToDate');
  });

  test('levels that differ in TDX components alone are ordered by them', async () => {
    const levels = [
      { ...top, tdx: top.tdx.map((value, i) => (i === 2 ? 1 : value)), tcbStatus: 'Revoked' },
      top,
    ] satisfies readonly PlatformLevel[];
    const tcb = await evaluate({ collateral: { tcbInfoInput: { levels } } });
    assert.equal(tcb.status, 'UpToDate');
  });

  test('SGX components order before PCESVN, and PCESVN before TDX components', async () => {
    const lowTdx = top.tdx.map(() => 0);
    const lowSgx = top.sgx.map(() => 0);
    const levels = [
      { ...top, sgx: lowSgx, tcbStatus: 'OutOfDate' },
      { ...top, pceSvn: 1, tcbStatus: 'OutOfDate' },
      { ...top, pceSvn: 13, tdx: lowTdx, tcbStatus: 'UpToDate' },
    ] satisfies readonly PlatformLevel[];
    const tcb = await evaluate({ collateral: { tcbInfoInput: { levels } } });
    assert.equal(tcb.status, 'UpToDate');
  });

  test('module ids compare without case', async () => {
    const modules = TCB_INFO.modules.map((known) => ({ ...known, id: 'tdx_01' }));
    assert.equal(
      (await evaluate({ collateral: { tcbInfoInput: { modules } } })).status,
      'UpToDate',
    );
  });

  test('the version of a module is written in hexadecimal', async () => {
    const modules = TCB_INFO.modules.map((known) => ({ ...known, id: 'TDX_1A' }));
    const tcb = await evaluate({
      quote: { td: { teeTcbSvn: svn(5, 0x1a, 4) } },
      collateral: { tcbInfoInput: { modules } },
    });
    assert.equal(tcb.launch.module?.status, 'UpToDate');
  });

  test('FMSPC and PCE-ID compare without case', async () => {
    const tcb = await evaluate({
      collateral: { tcbInfo: (document) => ({ ...document, fmspc: 'C0FFEE000000' }) },
    });
    assert.equal(tcb.status, 'UpToDate');
  });

  test('a revoked platform is revoked although its module is current', async () => {
    const tcb = await evaluate({ collateral: { tcbInfoInput: { levels: platform('Revoked') } } });
    assert.equal(tcb.launch.module?.status, 'UpToDate');
    assert.equal(tcb.status, 'Revoked');
  });

  test('a module below every module level is not supported', async () => {
    const tcb = await evaluate({ quote: { td: { teeTcbSvn: svn(0, 1, 4) } } });
    assert.equal(tcb.launch.module?.status, 'NotSupported');
    assert.equal(tcb.status, 'NotSupported');
  });

  test('a quoting enclave below every level is not supported', async () => {
    const tcb = await evaluate({ quote: { qe: { isvSvn: 1 } } });
    assert.equal(tcb.launch.qe.status, 'NotSupported');
    assert.equal(tcb.status, 'NotSupported');
  });

  test('a newer quoting enclave than any level is as good as the best', async () => {
    assert.equal((await evaluate({ quote: { qe: { isvSvn: 900 } } })).status, 'UpToDate');
  });

  test('a module of version 0 is judged by components 0 and 1 of the platform levels', async () => {
    const levels = [
      { ...top, tdx: top.tdx.map((value, i) => (i === 0 ? 5 : value)) },
      { ...top, tdx: top.tdx.map((value, i) => (i === 0 ? 3 : value)), tcbStatus: 'Revoked' },
    ] satisfies readonly PlatformLevel[];
    const at = async (moduleSvn: number): Promise<TdxTcb> =>
      await evaluate({
        quote: { td: { teeTcbSvn: svn(moduleSvn, 0, 4) } },
        collateral: { tcbInfoInput: { levels } },
      });
    assert.equal((await at(5)).status, 'UpToDate');
    assert.equal((await at(4)).status, 'Revoked');
    assert.equal((await at(2)).status, 'NotSupported');
    assert.equal((await at(5)).launch.module, undefined);
  });

  test('components 0 and 1 of a level take no part for a later module', async () => {
    const levels = [{ ...top, tdx: top.tdx.map((value, i) => (i < 2 ? 255 : value)) }];
    assert.equal((await evaluate({ collateral: { tcbInfoInput: { levels } } })).status, 'UpToDate');
  });

  for (let at = 0; at < 16; at++) {
    test(`component ${at} one below the level is not enough`, async () => {
      const sgx = PLATFORM_COMPONENTS.map((value, i) => (i === at ? value + 1 : value));
      const tcb = await evaluate({ collateral: { tcbInfoInput: { levels: [{ ...top, sgx }] } } });
      assert.equal(tcb.status, 'NotSupported');
      assert.deepEqual(tcb.launch.platform.shortfall, [
        {
          component: `sgx[${at}]`,
          have: PLATFORM_COMPONENTS[at] ?? 0,
          need: (PLATFORM_COMPONENTS[at] ?? 0) + 1,
        },
      ]);
    });
  }

  for (let at = 2; at < 16; at++) {
    test(`TDX component ${at} one below the level is not enough`, async () => {
      const have = svn(5, 1, 4);
      const tdx = Array.from(have, (value, i) => (i === at ? value + 1 : value));
      const tcb = await evaluate({ collateral: { tcbInfoInput: { levels: [{ ...top, tdx }] } } });
      assert.equal(tcb.status, 'NotSupported');
      assert.deepEqual(
        tcb.launch.platform.shortfall.map(({ component }) => component),
        [`tdx[${at}]`],
      );
    });
  }

  test('components that Intel gives no meaning still count', async () => {
    const components = PLATFORM_COMPONENTS.map((value, i) => (i === 15 ? 255 : value));
    const levels = [{ ...top, sgx: components }];
    const tcb = await evaluate({
      certificates: { facts: { components, cpuSvn: Uint8Array.from(components) } },
      collateral: { tcbInfoInput: { levels } },
    });
    assert.equal(tcb.status, 'UpToDate');
  });
});

describe('what is reported with the status', () => {
  test('advisories of platform, module and quoting enclave are united', async () => {
    const tcb = await evaluate({
      certificates: {
        facts: { components: PLATFORM_COMPONENTS.map((value) => Math.min(value, 3)) },
      },
      quote: { td: { teeTcbSvn: svn(3, 1, 3) }, qe: { isvSvn: 4 } },
      collateral: {
        tcbInfoInput: {
          levels: TCB_INFO.levels.map((level) =>
            level.tcbStatus === 'OutOfDate'
              ? { ...level, sgx: level.sgx.map((value) => Math.min(value, 3)) }
              : level,
          ),
        },
      },
    });
    assert.deepEqual(tcb.launch.advisoryIds, ['TEST-SA-M3', 'TEST-SA-P3', 'TEST-SA-Q4']);
    assert.equal(tcb.launch.tcbDate, '2024-03-13');
    assert.equal(tcb.status, 'OutOfDate');
  });

  test('advisories at launch and now are listed apart', async () => {
    const tcb = await evaluate({
      quote: { version: 5, body: 3, td: { teeTcbSvn: svn(3, 1, 4) } },
    });
    assert.deepEqual(tcb.launch.advisoryIds, ['TEST-SA-M3']);
    assert.deepEqual(tcb.current.advisoryIds, []);
  });

  test('the smaller evaluation number counts, and a difference is a warning', async () => {
    for (const [tcbInfo, qeIdentity] of [
      [20, 19],
      [19, 20],
    ] as const) {
      const result = verifyTdx(
        await buildCase(pki, {
          collateral: {
            tcbInfoInput: { evaluationNumber: tcbInfo },
            qeIdentityInput: { evaluationNumber: qeIdentity },
          },
        }),
      );
      assert.equal(result.tcb?.evaluationDataNumber, 19);
      assert.deepEqual(
        result.warnings.map(({ id }) => id),
        ['collateral.evaluationNumberMismatch'],
      );
      assert.equal(result.accepted, true);
    }
  });

  test('a CPUSVN that differs from the components is a warning; the components count', async () => {
    const result = verifyTdx(
      await buildCase(pki, { certificates: { facts: { cpuSvn: new Uint8Array(16) } } }),
    );
    assert.deepEqual(
      result.warnings.map(({ id }) => id),
      ['pck.cpuSvnMismatch'],
    );
    assert.equal(result.tcb?.status, 'UpToDate');
    assert.equal(result.accepted, true);
  });

  test('what an operator has to update is named', async () => {
    const tcb = await evaluate({ quote: { td: { teeTcbSvn: svn(3, 1, 4) } } });
    assert.deepEqual(tcb.launch.module?.shortfall, [{ component: 'isvsvn', have: 3, need: 5 }]);
    assert.deepEqual(tcb.launch.platform.shortfall, []);
  });
});
