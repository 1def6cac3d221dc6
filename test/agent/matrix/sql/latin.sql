create table "größen" (id int primary key, "maß" text);
insert into "größen" select i, 'Äpfel für ' || i || chr(233) from generate_series(1, 100) i;
create view "übersicht" as select count(*) as "zähler" from "größen";
comment on table "größen" is 'Größen';
create function "grüß"() returns text language sql as $$ select 'grüß dich' $$;
