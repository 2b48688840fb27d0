/**
 * What each rule about a TD means, for people: those of the verifier and those of a policy's rules.
 * Spec: Intel TDX Module ABI Reference, "ATTRIBUTES", "XFAM"; Intel SGX and TDX PCS API v4, "Get TCB Info"; tdx.md §4, §5.
 * @module
 */

import {
  byGuest,
  byHost,
  byPolicy,
  bySender,
  byVerifier,
  type Explanations,
} from '../explanation.ts';
import type { TDX_RULE_CHECK_IDS } from '../policy/tdx-rule.ts';
import type { POLICY_CHECKS } from './check-list.ts';

const TCB_STATUS = byHost(
  'Intel’s signed levels call microcode, firmware, TDX module and quoting enclave current (as the TD was launched).',
  'Below that, published weaknesses apply to the machine: what protects the guest may be broken.',
  'Update what is behind, restart the host, let it fetch its PCK certificate for the new TCB, and take a new quote.',
);
const TCB_CURRENT = byHost(
  'Intel’s signed levels call the machine current with the TDX module that runs now; it may not be the one of the launch.',
  'A module that was taken back under a running guest no longer protects it.',
  'Update the TDX module of the host and take a new quote.',
);
const EVALUATION = byVerifier(
  'Intel’s documents are of a TCB recovery (evaluation data number) that is new enough.',
  'Documents of an older recovery are still in their time, and do not know the newest weaknesses.',
  'Fetch TCB info and QE identity anew, with update=early if the standard ones are older than you demand.',
);
const DEBUG = byGuest(
  'The TD was not launched for debugging.',
  'The host reads and writes the whole memory of a debug TD: every prompt, every key.',
  'Launch the TD without debug. Never send anything to this one.',
);
const SEPT_VE = byGuest(
  'SEPT_VE_DISABLE is set.',
  'Without it the host can take away memory pages and steer the guest’s exception handler.',
  'Launch the TD with sept-ve-disable. Where a paravisor owns this (Azure), the machine cannot meet the rule.',
);
const SERVICE_TD = byHost(
  'No service TD (such as a migration TD) is bound to this TD.',
  'A service TD can move the guest’s state to another machine, and out of what was measured.',
  'Launch the TD without a service TD.',
);
const XFAM = byGuest(
  'The extended CPU features (XFAM) hold what must be on and nothing that is unknown.',
  'Unknown state components may be visible to, or steered by, the host.',
  'Launch the TD with the CPU features of a released configuration.',
);
const MRSEAM = byPolicy(
  'The TDX module is one of the exact builds that are listed.',
  'A module outside the list was not reviewed. Intel releases new ones several times a year.',
  'If the module is a release of Intel’s, list it; better, demand a version and security version.',
);
const MEASUREMENTS = byGuest(
  'MRTD, RTMR0 to RTMR3, MRCONFIGID, MROWNER and MROWNERCONFIG together are those of a listed image and machine shape.',
  'Other measurements mean other software, firmware or configuration: it may do anything with a prompt.',
  'Compare with the release: measure the image, replay the event log (veilgate measure tdx) to see which register differs, list new releases.',
);
const PLATFORMS = byPolicy(
  'The machine is one of those that are listed, by the identity in its certificate.',
  'Evidence of an unknown machine may come from anybody who owns one, or has stolen its key.',
  'If the machine is yours, add its PPID; otherwise use one that is listed.',
);
const FEATURE =
  'A feature the policy does not want: it can be used as a side channel, or was not reviewed.';
const FEATURE_FIX = 'Launch the TD without it, or let the policy say any.';

export const TDX_POLICY_EXPLANATIONS: Explanations<(typeof POLICY_CHECKS)[number]> = {
  'policy.tcbStatus': TCB_STATUS,
  'policy.tcbStatus.current': TCB_CURRENT,
  'policy.advisories': byHost(
    'None of the advisories that were named as unacceptable applies to the machine.',
    'A weakness that was judged too serious to live with is present.',
    'Update what the advisory is about, restart the host and take a new quote.',
  ),
  'policy.minTcbEvaluationDataNumber': EVALUATION,
  'policy.minTeeTcbSvn': byHost(
    'TDX module and SEAM loader reach the security versions that were demanded.',
    'Older modules have known weaknesses.',
    'Update the TDX module and SEAM loader of the host and take a new quote.',
  ),
  'policy.td.debug': DEBUG,
  'policy.td.attributesReserved': byGuest(
    'The TD has no attribute that nobody has explained, and none that weakens it (profiling, performance counters of the host).',
    'Attributes change what the host may see or do; an unknown one may do so too.',
    'Launch the TD without the attribute that the check names.',
  ),
  'policy.td.septVeDisable': SEPT_VE,
  'policy.td.migratable': byGuest(
    'The TD is not migratable.',
    'A migratable TD can be moved, memory and keys, by a service TD the host chooses.',
    'Launch the TD without the migratable attribute.',
  ),
  'policy.td.xfam': XFAM,
  'policy.td.serviceTd': SERVICE_TD,
  'policy.tdAttributes': byGuest(
    'The attributes are exactly the expected ones.',
    'Another set of attributes is another machine than the one that was reviewed.',
    'Launch the TD with the expected attributes, or expect those that are right.',
  ),
  'policy.xfam': byGuest(
    'The extended CPU features (XFAM) are exactly the expected ones.',
    'Another set of features is another machine than the one that was reviewed.',
    'Launch the TD with the expected features, or expect those that are right.',
  ),
  'policy.mrSeam': MRSEAM,
  'policy.mrTd': byGuest(
    'MRTD, the measurement of the initial TD (its firmware), is one that is listed.',
    'Other firmware decides differently what is started and measured after it.',
    'Launch with the listed firmware, or list the new release.',
  ),
  'policy.measurements': MEASUREMENTS,
  'policy.reportData': bySender(
    'The 64 bytes that the guest put into the quote are the expected ones.',
    'They tie the quote to a key or a challenge. Others mean: an old quote, or one made for somebody else.',
    'Ask the guest for a quote over the value you expect. The quote of another conversation does not count.',
  ),
  'policy.allowedPlatforms': PLATFORMS,
  'policy.deniedPlatforms': byHost(
    'The machine is none of those that were banned.',
    'Somebody banned this very machine, or kind of machine, on purpose.',
    'Use another machine; ask whoever keeps the list.',
  ),
};

export const TDX_RULE_EXPLANATIONS: Explanations<(typeof TDX_RULE_CHECK_IDS)[number]> = {
  'cpu.measurements': MEASUREMENTS,
  'cpu.tcbStatus': TCB_STATUS,
  'cpu.tcbStatus.current': TCB_CURRENT,
  'cpu.tcbEvalNumber': EVALUATION,
  'cpu.tcbDate': byHost(
    'The TCB levels that the machine reaches are of the demanded day or later.',
    'An older level lacks every fix since that day.',
    'Update BIOS, microcode and TDX module of the host and take a new quote.',
  ),
  'cpu.module.identity': byPolicy(
    'The major version of the TDX module is one that the rule lists.',
    'Another major version was not reviewed for this policy.',
    'List it after review, or boot the host with a listed one.',
  ),
  'cpu.module.isvsvn': byHost(
    'The security version of the TDX module reaches the floor of the rule.',
    'Older modules have known weaknesses.',
    'Update the TDX module of the host and take a new quote.',
  ),
  'cpu.mrseam': MRSEAM,
  'cpu.attributes.perfmon': byGuest(
    'The TD may not use performance counters, as the rule demands.',
    FEATURE,
    FEATURE_FIX,
  ),
  'cpu.attributes.protectionKeys': byGuest(
    'The TD does not use supervisor protection keys, as the rule demands.',
    FEATURE,
    FEATURE_FIX,
  ),
  'cpu.attributes.keyLocker': byGuest(
    'The TD does not use Key Locker, as the rule demands.',
    FEATURE,
    FEATURE_FIX,
  ),
  'cpu.attributes.lass': byGuest(
    'The TD does not use linear address space separation, as the rule demands.',
    FEATURE,
    FEATURE_FIX,
  ),
  'cpu.xfam': XFAM,
  'cpu.serviceTd': SERVICE_TD,
  'cpu.fmspc': byPolicy(
    'The kind of platform (FMSPC) is one that the rule lists.',
    'Another kind of processor was not reviewed for this policy.',
    'List it after review, or use a listed kind.',
  ),
  'cpu.platforms': PLATFORMS,
};
