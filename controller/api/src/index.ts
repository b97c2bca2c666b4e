export * from './planning.ts';
export * from './problem.ts';
export * from './reservations.ts';
export * from './routes.ts';
export * from './schemas.ts';
export * from './why.ts';
export * from './work.ts';
export * from './workspace.ts';
