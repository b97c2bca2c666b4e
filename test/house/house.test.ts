// The rules of this house. One file, so that the repository is read once.
import { arrows } from './arrows.ts';
import { code } from './code.ts';
import { packages } from './packages.ts';
import { describeRules } from './rule.ts';
import { texts } from './texts.ts';

describeRules('arrows between rooms', arrows);
describeRules('code', code);
describeRules('packages', packages);
describeRules('texts', texts);
