export { type PostgresCluster, startPostgres } from '../../bench/postgres-cluster.ts';
