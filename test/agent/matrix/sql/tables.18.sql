create extension if not exists btree_gist;
create table news (id uuid default uuidv7(), i int, twice int generated always as (i * 2) virtual, valid daterange, primary key (id, valid without overlaps));
insert into news (id, i, valid) values ('00000000-0000-7000-8000-000000000001', 4, '[2026-01-01,2026-02-01)');
create table later (i int); insert into later values (null); alter table later add constraint given not null i not valid;
create table loosely (i int, constraint never foreign key (i) references users_of_old not enforced, constraint hardly check (i > 0) not enforced); insert into loosely values (-1);
create table stays (id uuid, valid daterange, at daterange, foreign key (id, period valid) references news (id, period valid)); insert into stays values ('00000000-0000-7000-8000-000000000001', '[2026-01-05,2026-01-09)', null);
alter default privileges grant select on large objects to web;
comment on constraint given on later is 'not yet';
