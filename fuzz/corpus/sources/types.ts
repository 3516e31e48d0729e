type A = { a: string } | null;
export type { A };
import type { B } from './b.ts';
declare const x: number;
declare function f(): void;
export const y = <const T,>(z: T): z is T => true satisfies boolean;
let q!: string;
const w = q!.length;
