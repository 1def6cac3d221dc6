-- Of the server that is backed up; every database refers to some of them.
create role app login createdb password 'password-of-app';
create role readers;
create role web login;
create role alice login in role readers;
create role "Odd ""role'" login;
grant pg_read_all_data, pg_signal_backend, pg_read_all_stats to app;
