-- The four databases of a Rails 8 application, as db/schema.rb and the three *_schema.rb of its Solid libraries make them.
create extension pgcrypto;
create type order_state as enum ('cart', 'paid', 'shipped');
create table schema_migrations (version varchar not null primary key);
insert into schema_migrations values ('20260101000001'), ('20260101000002');
create table ar_internal_metadata (key varchar not null primary key, value varchar, created_at timestamp(6) not null, updated_at timestamp(6) not null);
insert into ar_internal_metadata values ('environment', 'production', '2026-01-01', '2026-01-01');
create table users (id bigserial primary key, email varchar not null, settings jsonb default '{}' not null, time_zone varchar, created_at timestamp(6) not null);
create unique index index_users_on_email on users (lower(email));
create index index_users_on_settings on users using gin (settings);
create table orders (id uuid default gen_random_uuid() primary key, user_id bigint not null, state order_state default 'cart' not null,
  total_cents integer default 0 not null, tags varchar[] default '{}', placed_at timestamptz, constraint total_not_negative check (total_cents >= 0));
alter table orders add constraint fk_rails_orders_users foreign key (user_id) references users (id) on delete cascade;
create index index_orders_on_user_id_and_state on orders (user_id, state) where state <> 'cart';
create table active_storage_blobs (id bigserial primary key, key varchar not null unique, filename varchar not null, metadata text, byte_size bigint not null, checksum varchar);
create table active_storage_attachments (id bigserial primary key, name varchar not null, record_type varchar not null, record_id bigint not null,
  blob_id bigint not null references active_storage_blobs);
create table action_text_rich_texts (id bigserial primary key, name varchar not null, body text, record_type varchar not null, record_id bigint not null);
insert into users (email, settings, created_at) select 'u' || i || '@example.com', jsonb_build_object('n', i), timestamp '2026-01-01' + i * interval '1 hour' from generate_series(1, 400) i;
insert into orders (id, user_id, state, total_cents, tags, placed_at)
  select md5(i::text)::uuid, 1 + i % 400, (array['cart', 'paid', 'shipped'])[1 + i % 3]::order_state, i * 10, array['a', 'tag "' || i || '"'], timestamptz '2026-01-01 00:00+00' + i * interval '7 min'
  from generate_series(1, 1500) i;
insert into action_text_rich_texts (name, body, record_type, record_id) select 'body', '<div>' || repeat('é ', i) || '</div>', 'Order', i from generate_series(1, 50) i;
