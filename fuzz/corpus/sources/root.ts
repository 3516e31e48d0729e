import { E } from '@endo/eventual-send';
interface Purse<T> { balance(): Promise<T>; }
export function buildRootObject(powers: unknown, { start = 0 }: { start?: number } = {}): object {
  const list: Array<Purse<bigint>> = [];
  return Far('x', { add: async <T,>(p: Purse<T>, n?: number): Promise<void> => { list.push(p as any); } });
}
