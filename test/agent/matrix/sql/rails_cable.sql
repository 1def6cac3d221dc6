create table solid_cable_messages (id bigserial primary key, channel bytea not null, payload bytea not null, created_at timestamp(6) not null, channel_hash bigint not null);
create index index_solid_cable_messages_on_channel_hash on solid_cable_messages (channel_hash);
insert into solid_cable_messages (channel, payload, created_at, channel_hash) select 'c'::bytea, sha256(i::text::bytea), '2026-01-01', -i from generate_series(1, 60) i;
