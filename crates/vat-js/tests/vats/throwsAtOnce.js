// A vat whose module cannot be evaluated.

import { helper } from './throwsHelper.js';

throw Error(`this module ${helper('throws')}`);
