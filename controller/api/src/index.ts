export * from './problem.ts';
export * from './routes.ts';
export * from './schemas.ts';
