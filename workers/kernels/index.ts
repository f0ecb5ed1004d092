// Every kernel of the module, one concept per file. Kernels are leaf functions on byte ranges of the caller: they
// allocate nothing, keep no state, and trust the pointers they are given.
export * from './heap';
export * from './scan';
export * from './rows';
export * from './integers';
export * from './bits';
export * from './container';
export * from './sort';
export * from './count';
export * from './unite';
export * from './order';
export * from './gather';
export * from './transpose';
export * from './strings';
export * from './booleans';
export * from './timestamps';
export * from './words';
