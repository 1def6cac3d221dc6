create collation german (provider = icu, locale = 'de-u-co-phonebk');
create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create collation "C copy" from "C";
create domain positive as int constraint above_zero check (value > 0) not null;
create domain email as text collate nocase check (value ~ '@');
create domain late as int;
create type address as (street text, zip varchar(10), at point);
create type mood as enum ('sad', 'ok', 'happy');
alter type mood add value 'great' after 'ok';
create type span as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = spans);
create table values_of_types (id int primary key, p positive, e email, a address, m mood, s span, ms spans, g text collate german, n text collate nocase,
  i4 int4range, ts tstzrange, nm nummultirange, j jsonb, js json, x xml, b bit(5), vb bit varying, iv interval, mac macaddr8, c cidr, i inet, t tsvector, q tsquery, ls lseg, pa path, po polygon, ci circle,
  mny money, u uuid, by bytea, arr int[][], da address[], num numeric(12, 4), f4 float4, f8 float8, d date, tz timetz, lsn pg_lsn, oi oid, rc regclass, jp jsonpath, ch char(4), na name, qc "char");
insert into values_of_types values
  (1, 3, 'A@b', '("a, ""street""",1234,"(1,2)")', 'great', '[1.5,2)', '{[1,2),[3,4)}', 'Öl', 'ABC', '[1,5)', '[2026-01-01 00:00+00,)', '{[1,2),(3,)}', '{"a": [1, null, "x\u00e9"]}', '{"b" : 1,  "b": 2}',
   '<a b="1">x</a>', B'10101', B'1', '1 mon 2 days 03:04:05.6', '08:00:2b:01:02:03:04:05', '10.0.0.0/8', '::1/64', 'cat:1A dog', 'cat & !dog:*', '[(0,0),(1,1)]', '((0,0),(1,1))', '((0,0),(1,1),(1,0))', '<(0,0),2>',
   12.34, '00000000-0000-0000-0000-000000000001', '\x00ff', '{{1,2},{3,4}}', array['(x,1,)'::address], 12345678.1234, 'NaN', '-Infinity', 'infinity', '12:00:00+02', '16/B374D848', 4294967295, 'pg_class', '$.a[*] ? (@ > 1)', 'ab', 'name', 'x');
insert into values_of_types (id, p) values (2, 1);
create function plus_one(int) returns int language sql immutable strict parallel safe cost 5 as 'select $1 + 1';
create operator @+@ (leftarg = int, rightarg = int, function = int4pl, commutator = @+@);


create function mood_rank(mood) returns int language sql immutable as $$ select case $1 when 'sad' then 0 else 1 end $$;
create cast (mood as int) with function mood_rank(mood) as assignment;
create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '0', parallel = safe, combinefunc = int4pl);
create operator family modulus using btree;
create function modulus_cmp(int, int) returns int language sql immutable as 'select $1 % 10 - $2 % 10';
create function modulus_lt(int, int) returns bool language sql immutable as 'select $1 % 10 < $2 % 10';
create operator @<@ (leftarg = int, rightarg = int, function = modulus_lt);
create operator class modulus_ops for type int using btree family modulus as operator 1 @<@, function 1 modulus_cmp(int, int);
create text search dictionary plain_german (template = snowball, language = german, stopwords = german);
create text search configuration own (copy = english);
alter text search configuration own alter mapping for asciiword with plain_german, simple;
create text search template own_simple (lexize = dsimple_lexize, init = dsimple_init);
create text search parser own_parser (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
create conversion own_conversion for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create table documents (body text, search tsvector generated always as (to_tsvector('own', body)) stored);
insert into documents (body) values ('Die Katze sitzt'), ('the quick fox');
create index on documents using gin (search);
alter domain late add constraint later check (value < 100) not valid;
comment on type mood is 'how it goes';
comment on domain positive is 'more than nothing';
comment on operator @+@ (int, int) is 'adds';
grant usage on type mood to web;
revoke usage on domain positive from public;
create function own_call() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler'; create trusted language plown handler own_call;
create function in_own() returns int language plown as 'begin return 1; end';
create transform for int language sql (from sql with function prsd_lextype(internal), to sql with function int4recv(internal));
comment on language plown is 'plpgsql by another name'; comment on transform for int language sql is 'there and back'; comment on cast (mood as int) is 'rank';
comment on collation nocase is 'any case'; comment on conversion own_conversion is 'to UTF-8'; comment on aggregate total(int) is 'sum'; comment on operator family modulus using btree is 'by remainder';
comment on operator class modulus_ops using btree is 'last digit'; comment on text search configuration own is 'own'; comment on text search dictionary plain_german is 'stems';
comment on text search template own_simple is 'lower case'; comment on text search parser own_parser is 'words'; comment on constraint above_zero on domain positive is 'above'; comment on column address.zip is 'post code';
grant usage on language plown to web; revoke usage on language plown from public;
