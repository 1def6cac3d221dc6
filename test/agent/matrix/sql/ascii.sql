-- Bytes that are no text in any one encoding.
create table notes (id int, t text);
insert into notes values (1, E'caf\351 x'), (2, E'\303\251'), (3, E'\377\376'), (4, 'plain');
create table more as select i as id, repeat(E'\344', i) as t from generate_series(1, 50) i;
