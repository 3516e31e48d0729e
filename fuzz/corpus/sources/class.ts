abstract class A<T> implements I {
  private readonly a: number = 1;
  declare b: string;
  static #c?: T;
  constructor(override c = 2) { super(); }
  abstract d(): void;
  get e(): number { return this.a; }
  f(this: A<T>, g?: string): asserts g {}
  [key: string]: unknown;
}
export default A;
