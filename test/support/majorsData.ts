import type { Major } from "../../sandbox/host/majors.ts";

/** What each major has that the ones before it do not. */
export const NEWS: Record<Major, string> = {
  15: "create table news (i int, unique nulls not distinct (i)); insert into news values (null);",
  17: `create table news (i int); insert into news values (1);
       create view rows_of_json as select * from json_table('[1, 2]', '$[*]' columns (i int path '$'));`,
  18: `create table news (i int, twice int generated always as (i * 2) virtual, id uuid default uuidv7());
       insert into news (i) values (1);`,
};
export const SHOP = `
  create schema stock;
  create table customers (id int primary key, name text not null);
  insert into customers select i, 'customer ' || i from generate_series(1, 500) i;
  create table orders (id bigint generated always as identity, customer int references customers, at date) partition by range (at);
  create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
  insert into orders (customer, at) select 1 + i % 500, date '2026-01-01' + i % 300 from generate_series(1, 2000) i;
  create index on orders (customer);
  create table stock."Odd ""name" (body bytea);
  insert into stock."Odd ""name" select sha256(i::text::bytea) from generate_series(1, 300) i;
  create materialized view totals as select customer, count(*) from orders group by customer;
  select lo_from_bytea(0, 'a large object');`;
export const COUNTS = `select (select count(*) from customers), (select count(*) from orders), (select count(*) from stock."Odd ""name"),
  (select count(*) from totals), (select count(*) from news), (select count(*) from pg_largeobject_metadata)`;
/** Dumped well, and not restorable: the check looks for a table by a name that does not hold while pg_restore works. */
export const ASTRAY = `
  create table limits as select 10 as highest;
  create function allowed(int) returns bool language plpgsql as 'begin return $1 <= (select highest from limits); end';
  create table orders (i int check (allowed(i)));
  insert into orders values (1);`;
