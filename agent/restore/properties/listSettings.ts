/**
 * Settings whose value is a list of names (GUC_LIST_QUOTE of PostgreSQL's guc_tables.c). `pg_db_role_setting` has them as one
 * text with the names in quotes already; quoting it again would make one name of it.
 */
export const LIST_SETTINGS: ReadonlySet<string> = new Set([
  "local_preload_libraries",
  "search_path",
  "session_preload_libraries",
  "shared_preload_libraries",
  "temp_tablespaces",
  "unix_socket_directories",
]);
