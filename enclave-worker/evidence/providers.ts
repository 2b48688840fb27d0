/** Every evidence provider a worker can use. To add one: write the file, add its line here. @module */

import { simulator } from './simulator/simulator.ts';

export const PROVIDERS = [simulator] as const;
export type ProviderName = (typeof PROVIDERS)[number]['name'];
