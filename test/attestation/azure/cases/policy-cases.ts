/** Cases about the policy on a machine with nothing else wrong. @module */

import { fixed } from '../../../../core/bytes.ts';
import { STRANGER, tupleOf, USER_DATA, VTPM } from '../../../support/azure/case.ts';
import type { AzureCheckCase } from './check-case.ts';

const NOT_ASKED = { unchecked: 'not asked for by this test' };

const NO_ID_KEY = fixed(new Uint8Array(48), 48);

const HARDWARE: readonly AzureCheckCase[] = [
  {
    id: 'azure.policy.hardware',
    title: 'a guest that can be debugged',
    only: 'snp',
    faults: { snp: { report: { fields: { policy: 0xb_0137n } } } },
    hardwareFails: ['policy.guestPolicy.debug'],
  },
  {
    id: 'azure.policy.hardware',
    title: 'a platform that is denied',
    only: 'tdx',
    faults: { tdx: { policy: { acceptedTcbStatuses: [] } } },
    hardwareFails: ['policy.tcbStatus', 'policy.tcbStatus.current'],
  },
  {
    id: 'azure.policy.paravisor',
    title: 'a policy that looks at no measurement and no id key',
    only: 'snp',
    faults: { snp: { policy: { measurements: NOT_ASKED, idKeys: NOT_ASKED } } },
  },
  {
    id: 'azure.policy.paravisor',
    title: 'a policy that lists the id key of those who have none',
    only: 'snp',
    faults: {
      snp: {
        report: { fields: { idKeyDigest: NO_ID_KEY } },
        policy: { measurements: NOT_ASKED, idKeys: { anyOf: [NO_ID_KEY] } },
      },
    },
  },
  {
    id: 'azure.policy.paravisor',
    title: 'a policy that looks at no measurement',
    only: 'tdx',
    faults: { tdx: { policy: { measurements: NOT_ASKED, mrTd: NOT_ASKED } } },
  },
  {
    id: 'azure.policy.paravisor',
    title: 'a measurement that is not listed',
    only: 'snp',
    faults: {
      snp: { policy: { measurements: { anyOf: [] }, idKeys: NOT_ASKED } },
    },
    alsoFails: ['azure.policy.hardware'],
    why: 'the hardware policy refuses it already',
    hardwareFails: ['policy.measurement'],
  },
];

const BOTH: readonly AzureCheckCase[] = [
  {
    id: 'azure.policy.pcrs',
    title: 'the registers of another image',
    faults: { policy: { pcrs: { anyOf: [tupleOf(STRANGER)] } } },
  },
  { id: 'azure.policy.pcrs', title: 'an empty list', faults: { policy: { pcrs: { anyOf: [] } } } },
  {
    id: 'azure.policy.pcrs',
    title: 'a tuple without registers',
    faults: { policy: { pcrs: { anyOf: [tupleOf(VTPM, [])] } } },
  },
  {
    id: 'azure.policy.pcrs',
    title: 'a tuple of registers that can be reset',
    faults: { policy: { pcrs: { anyOf: [tupleOf(VTPM, [23])] } } },
  },
  {
    id: 'azure.policy.pcrs',
    title: 'a register that was not quoted',
    faults: { policy: { pcrs: { anyOf: [tupleOf(VTPM, [4, 8])] } } },
  },
  {
    id: 'azure.policy.pcrs',
    title: 'half of one tuple and half of another',
    faults: {
      policy: {
        pcrs: {
          anyOf: [
            {
              image: 'first',
              values: new Map([...tupleOf(VTPM, [4]).values, ...tupleOf(STRANGER, [9]).values]),
            },
            {
              image: 'second',
              values: new Map([...tupleOf(STRANGER, [4]).values, ...tupleOf(VTPM, [9]).values]),
            },
          ],
        },
      },
    },
  },
  {
    id: 'azure.policy.userData',
    title: 'other user data',
    faults: { policy: { userData: { equals: fixed(new Uint8Array(64), 64) } } },
  },
  {
    id: 'azure.policy.userData',
    title: 'user data that differ in the last byte',
    faults: {
      policy: {
        userData: {
          equals: fixed(
            USER_DATA.map((byte, at) => (at === 63 ? 0 : byte)),
            64,
          ),
        },
      },
    },
  },
];

export const POLICY_CASES: readonly AzureCheckCase[] = [...HARDWARE, ...BOTH];
