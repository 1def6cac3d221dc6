-- Names that nobody should choose.
create schema "select";
create schema "Odd 'schema'";
create schema " leading and trailing ";
create table "select"."table" ("column" int primary key, "order" text default $$it's$$, "a b" int, "q""uote" int, "back\slash" int, "per%cent" int, "é" int, "%s" int);
insert into "select"."table" select i, 'v' || i, i, i, i, i, i, i from generate_series(1, 20) i;
create table "Odd 'schema'"."line
break" ("tab	column" text, "emoji 🐘" text);
insert into "Odd 'schema'"."line
break" values ('a	b', 'c
d'), ('\N', '\.'), (null, '');
create table " leading and trailing "."63_characters_2345678901234567890123456789012345678901234567890" (i int);
insert into " leading and trailing "."63_characters_2345678901234567890123456789012345678901234567890" values (1);
create table "-- comment" ("/* c */" int, ";" text);
insert into "-- comment" values (1, '; drop table x; --');
create table "$1" ("$$" int);
create sequence "Odd 'schema'"."Seq""uence" start 5 increment 3;
select nextval('"Odd ''schema''"."Seq""uence"');
create type "Odd 'schema'"."Type name" as enum ('', ' ', 'quote''d', 'dou"ble', '-- x');
create table typed (t "Odd 'schema'"."Type name", a "Odd 'schema'"."Type name"[]);
insert into typed values ('quote''d', '{"dou\"ble",""}'), ('', null);
create function "Odd 'schema'"."f'n"("arg name" text, "out" out int) language sql as $f$ select length("arg name") $f$;
create index "ind'ex ""x""" on "select"."table" ("a b", "é");
create trigger "trig ger" before update on "select"."table" for each row execute function suppress_redundant_updates_trigger();
comment on table "select"."table" is 'a comment with ''quotes'', "double", \backslash
and a second line';
comment on column "select"."table"."é" is E'\u00e9 and \t tab';
grant select on "select"."table" to "Odd ""role'";
create policy "pol icy" on "select"."table" using (true);
