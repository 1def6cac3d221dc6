create unlogged table solid_cache_entries (id bigserial primary key, key bytea not null, value bytea not null, created_at timestamp(6) not null, key_hash bigint not null, byte_size integer not null);
create unique index index_solid_cache_entries_on_key_hash on solid_cache_entries (key_hash);
create index index_solid_cache_entries_on_key_hash_and_byte_size on solid_cache_entries (key_hash, byte_size);
insert into solid_cache_entries (key, value, created_at, key_hash, byte_size) select sha256(i::text::bytea), sha512(i::text::bytea), '2026-01-01', i * 7919, 64 from generate_series(1, 300) i;
