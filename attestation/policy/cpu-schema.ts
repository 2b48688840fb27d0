/** What a rule says about the machine, by its kind. @module */

import { z } from 'zod';
import { SNP_CPU } from './snp-schema.ts';
import { TDX_CPU } from './tdx-schema.ts';

export const CPU = z.discriminatedUnion('tee', [TDX_CPU, SNP_CPU]);
