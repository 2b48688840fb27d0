/** Fields that several parts of the worker's configuration have. Spec: STYLE §4, §11. @module */

import { z } from 'zod';

const PATH_MAX_CHARS = 4096;
export const PATH = z.string().min(1).max(PATH_MAX_CHARS);
