grant maintain on wholly to web;
create table counted_parts (id int generated always as identity, at int) partition by range (at);
create table counted_parts_1 partition of counted_parts for values from (0) to (100);
insert into counted_parts (at) select generate_series(1, 9);
create view rows_of_json as select * from json_table('[1, 2]', '$[*]' columns (i int path '$'));
