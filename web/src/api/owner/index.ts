/** What the owner's page asks of the server besides; it stands apart, so that no other page loads it. */

export * from './access';
export * from './audit';
export * from './overview';
export * from './receivers';
