-- Rows of every kind that a dump treats differently. Run once, in one transaction, after pgbench's own tables.

create extension pg_trgm;
create extension citext;

-- A role that owns things, as an application with several roles has.
create role shop_reporting login password 'reporting-in-the-sandbox';
create schema reporting authorization shop_reporting;
create table reporting.daily_totals (
  day date primary key,
  orders integer not null,
  total numeric(12, 2) not null
);
alter table reporting.daily_totals owner to shop_reporting;
insert into reporting.daily_totals
select date '2026-01-01' + n, 100 + n % 37, (1000 + n * 3.17)::numeric(12, 2)
from generate_series(0, 364) n;

create sequence invoice_numbers start 4711 increment 7;
select setval('invoice_numbers', 48811);

create table customers (
  id bigint generated always as identity primary key,
  email citext not null unique,
  name text not null,
  joined timestamptz not null,
  preferences jsonb not null default '{}'
);
insert into customers (email, name, joined, preferences)
select 'Customer.' || n || '@example.com', 'Customer Nº ' || n || ' Ångström',
       timestamptz '2020-01-01 00:00+00' + n * interval '37 minutes',
       jsonb_build_object('newsletter', n % 2 = 0, 'languages', array['en', 'de', 'ja'])
from generate_series(1, 20000) n;

-- Text-heavy: articles of some kilobytes, with an index that needs the extension.
create table articles (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  title text not null,
  body text not null
);
insert into articles (customer_id, title, body)
select 1 + n % 20000, 'Article ' || n,
       (select string_agg(md5((n * 50 + w)::text) || case when w % 9 = 0 then E'.\n' else ' ' end, '')
        from generate_series(1, 60) w)
from generate_series(1, 4000) n;
create index articles_title_trgm on articles using gin (title gin_trgm_ops);

create view customer_articles as
select c.email, count(*) as articles from customers c join articles a on a.customer_id = c.id group by c.email;

-- Binary: bytes that do not compress.
create table attachments (
  id bigint generated always as identity primary key,
  name text not null,
  content bytea not null
);
insert into attachments (name, content)
select 'file-' || n || '.bin',
       (select string_agg(sha512((n || ':' || b)::text::bytea), ''::bytea) from generate_series(1, 256) b)
from generate_series(1, 200) n;

-- Large objects, and the table that knows them.
create table scans (id bigint primary key, object oid not null);
insert into scans
select n, lo_from_bytea(0, (select string_agg(sha512((n || '/' || b)::text::bytea), ''::bytea)
                            from generate_series(1, 1024) b))
from generate_series(1, 20) n;

create function order_total(quantity integer, price numeric) returns numeric
language sql immutable as $$ select quantity * price $$;
