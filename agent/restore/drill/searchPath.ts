/** As psql finds tables in this database: the agent's own sessions look nowhere but in the catalog. */
export const USUAL_PATH = `
  SELECT set_config('search_path', coalesce(
    (SELECT substr(setting, length('search_path=') + 1)
     FROM pg_db_role_setting, unnest(setconfig) AS setting
     WHERE setrole = 0 AND setting LIKE 'search_path=%'
       AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
    (SELECT boot_val FROM pg_settings WHERE name = 'search_path')), false)`;
