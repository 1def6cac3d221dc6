-- The neighbour whose name starts with the first database's name. Nothing that is done to the first may touch it.
create table jobs (
  id bigint generated always as identity primary key,
  queue text not null,
  payload jsonb not null,
  run_at timestamptz not null
);
insert into jobs (queue, payload, run_at)
select 'mailers', jsonb_build_object('customer', n), timestamptz '2026-01-01 00:00+00' + n * interval '1 second'
from generate_series(1, 5000) n;
